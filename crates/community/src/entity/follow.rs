use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

/// A user who follows another user.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_follow")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub follower_id: UserId,
    pub followed_id: UserId,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
