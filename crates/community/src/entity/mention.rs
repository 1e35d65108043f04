use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::{CommentId, PostId};

/// A mention of a user in a post or a comment.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_mention")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub post_id: PostId,
    pub comment_id: Option<CommentId>,
    pub user_id: UserId,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
