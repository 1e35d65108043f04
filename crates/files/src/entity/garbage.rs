use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

/// Objects in the store without a row in `files_file`: to be deleted, or not attached yet.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "files_garbage")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// As in `files_file`.
    pub variants: String,
    /// When they may be deleted; postponed while a node does so.
    pub due_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
