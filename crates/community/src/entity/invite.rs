use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::{GroupId, InviteId, InviteState};

/// An invite to a group.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_invite")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: InviteId,
    pub group_id: GroupId,
    #[sea_orm(unique)]
    pub token_hash: Vec<u8>,
    pub user_id: Option<UserId>,
    pub email_key: Option<String>,
    pub status: InviteState,
    pub max_uses: Option<i64>,
    pub uses: i64,
    pub invited_by: Option<UserId>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// The email address as entered, for sending; `email_key` is for comparison only.
    pub email: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
