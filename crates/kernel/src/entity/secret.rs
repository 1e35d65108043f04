use sea_orm::entity::prelude::*;

use crate::Timestamp;

/// A generated secret of the installation.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_secret")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub value: Bytes,
    pub created_at: Timestamp,
}

/// Bytes whose `Debug` output is redacted.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct Bytes(pub Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bytes(…)")
    }
}

impl ActiveModelBehavior for ActiveModel {}
