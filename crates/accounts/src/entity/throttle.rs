use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

/// A counter of failures, operations or emails.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_throttle")]
pub struct Model {
    /// A keyed hash of what is counted, since it may include user input such as a mistyped password.
    #[sea_orm(primary_key, auto_increment = false)]
    pub bucket: Vec<u8>,
    pub failures: i64,
    pub updated_at: Timestamp,
    /// When the counter expires.
    pub forgotten_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
