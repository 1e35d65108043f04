use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::{CommentId, GroupId, PostId, ReportId, ReportStatus};

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

impl ActiveModelBehavior for ActiveModel {}
