use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::{GroupId, PostCategory, PostId, Visibility};

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

impl ActiveModelBehavior for ActiveModel {}
