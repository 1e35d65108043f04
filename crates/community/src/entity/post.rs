use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{GroupId, PostId};

/// A post.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_post")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: PostId,
    pub group_id: Option<GroupId>,
    pub author_id: Option<UserId>,
    pub title: String,
    pub content: String,
    pub content_html: String,
    pub visibility: Visibility,
    pub category: PostCategory,
    pub is_approved: bool,
    pub is_pinned: bool,
    pub is_featured: bool,
    pub is_locked: bool,
    pub has_extras: bool,
    pub comment_count: i64,
    pub reactions: String,
    pub hot: i64,
    pub search_text: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Who may read a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// The members of its group.
    GroupOnly,
    /// Everybody who may read its group.
    #[serde(alias = "public_global")]
    Public,
    /// Only its author.
    Private,
}

/// The category of a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PostCategory {
    /// No special category.
    #[default]
    General,
    /// An announcement.
    Announcement,
    /// About an event.
    Event,
    /// A job offer.
    JobPosting,
    /// A useful resource.
    Resource,
    /// A question.
    Question,
}

impl ActiveModelBehavior for ActiveModel {}
