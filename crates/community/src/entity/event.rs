use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::{EventId, GroupId};

/// An event of a group.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_event")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: EventId,
    pub group_id: GroupId,
    pub creator_id: Option<UserId>,
    pub title: String,
    pub description: String,
    pub description_html: String,
    pub location: String,
    pub url: String,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub capacity: Option<i64>,
    pub is_public: bool,
    pub is_cancelled: bool,
    pub going_count: i64,
    pub waiting_count: i64,
    pub revision: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
