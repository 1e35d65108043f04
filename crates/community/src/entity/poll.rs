use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::id::PostId;

/// A poll of a post.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_poll")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub post_id: PostId,
    pub is_multiple: bool,
    pub closes_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
