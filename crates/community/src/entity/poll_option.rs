use sea_orm::entity::prelude::*;

use crate::id::PostId;

/// An option of a poll.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_poll_option")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub post_id: PostId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    pub text: String,
    pub votes: i64,
}

impl ActiveModelBehavior for ActiveModel {}
