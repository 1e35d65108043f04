use guildhall_kernel::{SessionId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

/// A session of a user on one device.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_session")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: SessionId,
    pub user_id: UserId,
    /// The user's epoch when the session was opened; the session is only valid in that epoch.
    pub auth_epoch: i64,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    /// The newest generation whose access token has been used; -1 before the first.
    pub seen_generation: i64,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// When it ends, no matter how often it is refreshed.
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    /// The reason, such as `sign_out` or `reuse`.
    pub revoke_reason: Option<String>,
    /// When the user last entered the password in this session.
    pub authenticated_at: Timestamp,
    /// Whether it was opened with a second factor.
    pub second_factor: bool,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
