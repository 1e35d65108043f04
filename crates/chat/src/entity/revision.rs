use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::id::{MessageId, RoomId};

/// The content of a message before it was edited.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "chat_revision")]
pub struct Model {
    pub message_id: MessageId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    /// The number of the event with which it was written.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub content: String,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
