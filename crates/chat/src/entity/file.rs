use guildhall_files::FileId;
use sea_orm::entity::prelude::*;

use crate::id::MessageId;

/// The file of a message.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "chat_file")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: MessageId,
    #[sea_orm(unique)]
    pub file_id: FileId,
    pub name: String,
    pub content_type: String,
    /// In bytes.
    pub size: i64,
}

impl ActiveModelBehavior for ActiveModel {}
