use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

/// How often something failed, or a letter was sent to an address.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_throttle")]
pub struct Model {
    /// What was tried from where, or sent where, as a keyed hash: what people type as a name is not kept.
    #[sea_orm(primary_key, auto_increment = false)]
    pub bucket: Vec<u8>,
    pub failures: i64,
    pub updated_at: Timestamp,
    /// From then on the count begins anew.
    pub forgotten_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
