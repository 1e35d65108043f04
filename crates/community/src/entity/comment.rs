use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::{CommentId, PostId};

/// A comment on a post.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_comment")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: CommentId,
    pub post_id: PostId,
    pub parent_id: Option<CommentId>,
    pub author_id: Option<UserId>,
    pub content: String,
    pub content_html: String,
    pub depth: i64,
    pub reply_count: i64,
    pub like_count: i64,
    pub is_deleted: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
