use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::PostId;

/// A user's reaction to a post.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_reaction")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub post_id: PostId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub kind: String,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
