use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::PostId;

/// A vote for an option of a poll.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_poll_vote")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub post_id: PostId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub is_single: bool,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
