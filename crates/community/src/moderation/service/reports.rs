//! Reports of posts and comments.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery};

use crate::{
    error::Result,
    id::{CommentId, GroupId, PostId, ReportId},
    moderation::{NewReport, Report, Verdict},
};

/// Reports of posts and comments.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Reports: Send + Sync + 'static {
    /// Reports a post to the moderators.
    async fn report_post(&self, caller: &Caller, id: PostId, new: NewReport) -> Result<Report>;
    /// Reports a comment to the moderators.
    async fn report_comment(&self, caller: &Caller, id: CommentId, new: NewReport) -> Result<Report>;
    /// The open reports: of one group for its moderators, of all groups for staff.
    async fn reports(&self, caller: &Caller, group: Option<GroupId>, page: PageQuery) -> Result<Page<Report>>;
    /// Decides a report, and all other open reports of the same post or comment.
    async fn decide_report(&self, caller: &Caller, id: ReportId, verdict: Verdict) -> Result<()>;
}
