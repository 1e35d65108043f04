use sea_orm::entity::prelude::*;

use crate::Timestamp;

/// Objects in the store without a row in `kernel_file`: to be deleted, or not attached yet.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_file_garbage")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// As in `kernel_file`.
    pub variants: String,
    /// When they may be deleted; postponed while a node does so.
    pub due_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
