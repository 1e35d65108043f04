use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::id::FileId;

/// A file in the file store. Immutable.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "files_file")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: FileId,
    /// The key of its objects in the store.
    pub key: String,
    pub content_type: String,
    /// The total size of all variants, in bytes.
    pub size: i64,
    /// Empty for a single object named `key`; otherwise `small,large` for `key.small` and `key.large`.
    pub variants: String,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
