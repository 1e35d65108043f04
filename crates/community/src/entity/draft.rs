use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::{DraftId, GroupId};

/// A draft of a post, visible to its author only.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_draft")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: DraftId,
    pub author_id: UserId,
    pub group_id: Option<GroupId>,
    pub body: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
