use sea_orm::entity::prelude::*;

use crate::id::PostId;

/// A tag of a post.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_post_tag")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub post_id: PostId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    pub tag: String,
}

impl ActiveModelBehavior for ActiveModel {}
