//! Reactions to messages.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{
    error::Result,
    id::{ConversationId, MessageId},
};

/// Reactions to messages.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Reactions: Send + Sync + 'static {
    /// Adds a reaction of the caller to a message.
    async fn react(&self, caller: &Caller, conversation: ConversationId, id: MessageId, emoji: String) -> Result<()>;
    /// Removes a reaction of the caller.
    async fn unreact(&self, caller: &Caller, conversation: ConversationId, id: MessageId, emoji: String) -> Result<()>;
}
