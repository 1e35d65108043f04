use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::GroupId;

/// That somebody is in a group.
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

/// What somebody may do in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[schema(as = GroupRole)]
pub enum Role {
    /// Everything. A group has at most one.
    Owner,
    /// Look after members and what they write.
    Moderator,
    /// Read and write.
    Member,
}

impl ActiveModelBehavior for ActiveModel {}
