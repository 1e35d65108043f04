use guildhall_kernel::{SessionId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::UserTokenId;

/// A single-use token for one purpose.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_one_time_token")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_id: UserId,
    /// The session that it is bound to.
    pub session_id: Option<SessionId>,
    pub purpose: String,
    /// SHA-256 of the token.
    #[sea_orm(unique)]
    pub token_sha256: Vec<u8>,
    /// The email address that it was sent to; empty if it was not sent by email.
    pub email: String,
    /// The user's epoch when it was created; it is only valid in that epoch.
    pub auth_epoch: i64,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
    /// The user token that a ticket was issued for.
    pub user_token_id: Option<UserTokenId>,
}

impl ActiveModelBehavior for ActiveModel {}
