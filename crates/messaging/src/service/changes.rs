//! Editing and deleting messages.

use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch};

use crate::{
    error::Result,
    id::{ConversationId, MessageId},
    model::{DeleteFor, Message, MessagePatch, Revision},
};

/// Editing and deleting messages.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Changes: Send + Sync + 'static {
    /// Changes the content of the caller's message, if `known` matches its current version.
    async fn edit(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        id: MessageId,
        patch: MessagePatch,
        known: IfMatch,
    ) -> Result<Message>;
    /// Deletes a message.
    async fn delete(&self, caller: &Caller, conversation: ConversationId, id: MessageId, whom: DeleteFor)
    -> Result<()>;
    /// What a message contained before it was edited, oldest first.
    async fn revisions(&self, caller: &Caller, conversation: ConversationId, id: MessageId) -> Result<Vec<Revision>>;
}
