use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{CommentId, GroupId, PostId, ReportId};

/// A report about a post or a comment.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_report")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: ReportId,
    pub group_id: Option<GroupId>,
    pub post_id: PostId,
    pub comment_id: Option<CommentId>,
    pub reporter_id: Option<UserId>,
    pub reason: String,
    pub status: ReportStatus,
    pub created_at: Timestamp,
    pub decided_by: Option<UserId>,
    pub decided_at: Option<Timestamp>,
}

/// The status of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    /// Not decided yet.
    Open,
    /// The report was justified.
    Upheld,
    /// The report was dismissed.
    Dismissed,
}

impl ActiveModelBehavior for ActiveModel {}
