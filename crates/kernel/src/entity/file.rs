use sea_orm::entity::prelude::*;

use crate::{Timestamp, file::FileId};

/// Something that a domain keeps in the file store. Never changed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_file")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: FileId,
    /// What its objects are called in the store.
    pub key: String,
    pub content_type: String,
    /// Bytes, of all variants together.
    pub size: i64,
    /// Empty for one object that is called like the key; else `small,large` for `key.small` and `key.large`.
    pub variants: String,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
