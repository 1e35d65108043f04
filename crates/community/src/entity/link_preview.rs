use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::id::PostId;

/// The preview of a page that a post links to.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_link_preview")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub post_id: PostId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    pub url: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub site: Option<String>,
    pub attempts: i64,
    pub next_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
