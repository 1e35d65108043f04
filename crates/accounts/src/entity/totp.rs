use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

/// A person's second factor (RFC 6238).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_totp")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub secret: super::signing_key::Seed,
    /// The newest step of which a code was taken; none before it is taken any more (RFC 6238 §5.2).
    pub last_step: i64,
    pub created_at: Timestamp,
    /// Asked for at sign-in once a code has shown that the person has it.
    pub confirmed_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
