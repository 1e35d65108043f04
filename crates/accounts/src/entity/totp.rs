use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

/// The second factor of a user (RFC 6238).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_totp")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub secret: super::signing_key::Seed,
    /// The newest time step that was used; it and all earlier ones are rejected (RFC 6238 §5.2).
    pub last_step: i64,
    pub created_at: Timestamp,
    /// When it was confirmed with a code; from then on it is required at sign-in.
    pub confirmed_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
