use guildhall_kernel::{SessionId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

/// A refresh token that was given out: outstanding, or blacklisted once `consumed_at` is set.
/// What the client holds is made again from this row and the signing key; it is not kept.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_refresh_token")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub session_id: SessionId,
    pub user_id: UserId,
    /// 0 for the sign-in, then one more for each refresh: unique in a session, so that no token can
    /// have two successors.
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
