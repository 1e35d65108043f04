use guildhall_kernel::{SessionId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

/// A device that somebody is signed in on.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_session")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: SessionId,
    pub user_id: UserId,
    /// The user's number when the session was opened.
    pub auth_epoch: i64,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    /// The newest generation of which an access token has been used; -1 before the first.
    pub seen_generation: i64,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// When it ends, however often it is refreshed.
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    /// Why: `sign_out`, `reuse` and the like.
    pub revoke_reason: Option<String>,
    /// When the person last showed the password in it.
    pub authenticated_at: Timestamp,
    /// It was opened with a second factor.
    pub second_factor: bool,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
