use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::GroupId;

/// A group of people.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_group")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: GroupId,
    pub name: String,
    /// The name as it is searched.
    pub name_key: String,
    #[sea_orm(unique)]
    pub slug: String,
    pub description: String,
    pub category: String,
    pub is_private: bool,
    pub is_corporate_group: bool,
    /// Whoever made it, while they exist.
    pub creator_id: Option<UserId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
