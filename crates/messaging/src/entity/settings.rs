use guildhall_kernel::UserId;
use sea_orm::entity::prelude::*;

/// What a person has chosen; without a row, the defaults.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messaging_settings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// Whether new conversations of others have to be accepted.
    pub accepts_requests_only: bool,
    /// Whether others see what they have read.
    pub sends_receipts: bool,
    /// Whether others find them by their name.
    pub is_discoverable: bool,
}

impl ActiveModelBehavior for ActiveModel {}
