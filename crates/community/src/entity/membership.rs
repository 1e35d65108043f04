use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::GroupId;

/// A user's membership in a group.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_membership")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub group_id: GroupId,
    pub user_id: UserId,
    pub role: Role,
    pub joined_at: Timestamp,
    #[sea_orm(belongs_to, from = "group_id", to = "id")]
    pub group: BelongsTo<super::group::Entity>,
}

/// A member's role in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[schema(as = GroupRole)]
pub enum Role {
    /// Has all rights. A group has at most one owner.
    Owner,
    /// Manages members and their content.
    Moderator,
    /// Reads and posts.
    Member,
}

impl ActiveModelBehavior for ActiveModel {}
