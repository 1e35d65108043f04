use guildhall_kernel::{SessionId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

/// An issued refresh token: outstanding, or blacklisted once `consumed_at` is set. The signed token is not
/// stored; it can be reproduced from this row and the signing key.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_refresh_token")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub session_id: SessionId,
    pub user_id: UserId,
    /// 0 for the sign-in, incremented by each refresh. Unique per session, so that no token can have two
    /// successors.
    pub generation: i64,
    #[sea_orm(unique)]
    pub jti: String,
    /// The key that signed it.
    pub kid: String,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub consumed_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
