use sea_orm::entity::prelude::*;

use crate::Timestamp;

/// Objects in the store that nobody keeps, or not yet.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_file_garbage")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// As in the file's row.
    pub variants: String,
    /// When they may be removed; also moved ahead while somebody does it.
    pub due_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
