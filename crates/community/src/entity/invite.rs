use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::{GroupId, InviteId};

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

/// The stored status of an invite. Expiry is not stored; it follows from `expires_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum InviteState {
    /// Can be used until it expires.
    Pending,
    /// Has been used as often as allowed.
    Accepted,
    /// Revoked by a moderator.
    Revoked,
}

impl ActiveModelBehavior for ActiveModel {}
