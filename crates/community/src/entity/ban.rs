use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::GroupId;

/// A ban of a user from a group.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_ban")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub group_id: GroupId,
    pub user_id: UserId,
    pub reason: String,
    pub until: Option<Timestamp>,
    pub banned_by: Option<UserId>,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
