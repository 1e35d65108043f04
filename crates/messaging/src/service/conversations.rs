//! The inbox, and what only the caller sees of a conversation.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery};

use crate::{
    error::Result,
    id::ConversationId,
    model::{Conversation, ConversationState, InboxFilter},
};

/// The inbox, and what only the caller sees of a conversation.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Conversations: Send + Sync + 'static {
    /// The caller's conversations, by their newest message. The first page begins with the pinned ones.
    async fn conversations(
        &self,
        caller: &Caller,
        filter: InboxFilter,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Conversation>>;
    /// Those of these conversations that the caller can read, up to 100, in no particular order.
    async fn conversations_by_id(&self, caller: &Caller, ids: Vec<ConversationId>) -> Result<Vec<Conversation>>;
    /// A conversation.
    async fn conversation(&self, caller: &Caller, id: ConversationId) -> Result<Conversation>;
    /// Changes what only the caller sees of a conversation.
    async fn change_state(
        &self,
        caller: &Caller,
        id: ConversationId,
        change: ConversationState,
    ) -> Result<Conversation>;
    /// Deletes all messages of a conversation for the caller; it comes back with the next message.
    async fn clear(&self, caller: &Caller, id: ConversationId) -> Result<()>;
}
