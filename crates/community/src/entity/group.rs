use guildhall_kernel::{Timestamp, UserId, file::FileId};
use sea_orm::entity::prelude::*;

use crate::{GroupId, Posting};

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
    /// Outsiders see its card although it is private.
    pub is_listed: bool,
    pub max_members: Option<i64>,
    pub posting: Posting,
    /// Posts of members wait until a moderator lets them through.
    pub approves_posts: bool,
    pub members_invite: bool,
    pub member_count: i64,
    pub post_count: i64,
    /// Name and description as they are searched.
    pub search_text: String,
    pub image_id: Option<FileId>,
    pub banner_id: Option<FileId>,
}

impl ActiveModelBehavior for ActiveModel {}
