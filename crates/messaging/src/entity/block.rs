use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

/// A person who cannot exchange messages with another one.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messaging_block")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub blocker_id: UserId,
    pub blocked_id: UserId,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
