use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::{ConversationId, MessageId, MessageTypeId};

/// A message.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messaging_message")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: MessageId,
    pub conversation_id: ConversationId,
    /// Its number in the conversation, from 1 without gaps.
    pub no: i64,
    pub sender_id: Option<UserId>,
    /// The other person, in a conversation of two.
    pub receiver_id: Option<UserId>,
    pub type_id: MessageTypeId,
    pub content: String,
    /// The key that the content is encrypted with.
    pub key_id: Option<String>,
    /// Whether the server wrote it about the conversation.
    pub is_system: bool,
    pub reply_to_id: Option<MessageId>,
    pub client_id: Option<String>,
    pub created_at: Timestamp,
    pub edited_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
