use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::GroupId;

/// An entry of the moderation log. Never changed, and deleted only with its group.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_moderation")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub group_id: Option<GroupId>,
    pub actor_id: Option<UserId>,
    pub action: String,
    pub subject_id: Option<UserId>,
    pub target: String,
    pub detail: String,
    pub at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
