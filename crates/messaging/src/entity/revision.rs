use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::id::MessageId;

/// The content of a message before it was edited.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messaging_revision")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub message_id: MessageId,
    pub content: String,
    /// The key that the content is encrypted with.
    pub key_id: Option<String>,
    /// When this content was written.
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
