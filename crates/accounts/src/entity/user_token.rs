use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::UserTokenId;

/// A long-lived token of a user, for programs.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_user_token")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: UserTokenId,
    pub user_id: UserId,
    pub name: String,
    pub prefix: String,
    /// SHA-256 of the token.
    #[sea_orm(unique)]
    pub token_sha256: Vec<u8>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    /// The last four characters of the token.
    pub last4: String,
    pub read_only: bool,
}

impl ActiveModelBehavior for ActiveModel {}
