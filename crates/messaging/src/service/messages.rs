//! Sending and reading messages.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorQuery, UserId};

use crate::{
    error::Result,
    id::{ConversationId, MessageId},
    model::{History, Message, NewMessage, Sent, Target},
};

/// Sending and reading messages.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Messages: Send + Sync + 'static {
    /// Sends a message to a user or to a conversation that the caller takes part in. The same `client_id` again returns
    /// the first message.
    async fn send(&self, caller: &Caller, to: Target, new: NewMessage) -> Result<Sent>;
    /// The messages that the caller and another user have exchanged. Reading them does not mark them as read.
    async fn messages_with(&self, caller: &Caller, other: UserId, cursor: CursorQuery) -> Result<History>;
    /// The messages of a conversation.
    async fn messages(&self, caller: &Caller, id: ConversationId, cursor: CursorQuery) -> Result<History>;
    /// The messages of a conversation before and after one of them.
    async fn messages_around(
        &self,
        caller: &Caller,
        id: ConversationId,
        message: MessageId,
        limit: u64,
    ) -> Result<History>;
    /// Those of these messages of a conversation that the caller can read and that were not deleted, up to 100, oldest
    /// first.
    async fn messages_by_id(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        ids: Vec<MessageId>,
    ) -> Result<Vec<Message>>;
    /// A message of a conversation.
    async fn message(&self, caller: &Caller, conversation: ConversationId, id: MessageId) -> Result<Message>;
}
