use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    entity::report::ReportStatus,
    id::{CommentId, GroupId, PostId, ReportId},
};

/// A report to create.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewReport {
    /// The reason, shown to the moderators.
    #[garde(custom(text::line(1, 1_000)))]
    pub reason: String,
}

/// A report as moderators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Report {
    /// The report's id.
    pub id: ReportId,
    /// The group.
    pub group: Option<GroupId>,
    /// The reported post, or the post of the reported comment.
    pub post: PostId,
    /// The reported comment, if it is about a comment.
    pub comment: Option<CommentId>,
    /// The user who reported it.
    pub reporter: Option<Person>,
    /// The reason.
    pub reason: String,
    /// The report's status.
    pub status: ReportStatus,
    /// When it was reported.
    pub created_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
}

/// A moderator's decision about a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReportVerdict)]
pub enum Verdict {
    /// The report was not justified.
    Dismiss,
    /// The report was justified, and has been dealt with.
    Uphold,
    /// The report was justified; deletes the post or comment.
    Remove,
}
