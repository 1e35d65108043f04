use guildhall_files::FileId;
use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::GroupId;

/// A group.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_group")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: GroupId,
    pub name: String,
    /// The name, folded for search.
    pub name_key: String,
    #[sea_orm(unique)]
    pub slug: String,
    pub description: String,
    pub category: String,
    pub is_private: bool,
    pub is_corporate_group: bool,
    /// The user who created it, until their account is deleted.
    pub creator_id: Option<UserId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// It is private, but listed with its public details.
    pub is_listed: bool,
    pub max_members: Option<i64>,
    pub posting: Posting,
    /// Posts of members need the approval of a moderator.
    pub approves_posts: bool,
    pub members_invite: bool,
    pub member_count: i64,
    pub post_count: i64,
    /// Name and description, normalized for full-text search.
    pub search_text: String,
    pub image_id: Option<FileId>,
    pub banner_id: Option<FileId>,
}

/// Who may post in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Posting {
    /// All members.
    #[default]
    Members,
    /// Only moderators and the owner, as for announcements.
    Moderators,
}

impl ActiveModelBehavior for ActiveModel {}
