//! Conversations that the caller has to accept.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery};

use crate::{error::Result, id::ConversationId, model::Conversation};

/// Conversations that the caller has to accept.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Requests: Send + Sync + 'static {
    /// The conversations that wait for the caller, by their newest message.
    async fn requests(&self, caller: &Caller, cursor: CursorQuery) -> Result<CursorPage<Conversation>>;
    /// Accepts a conversation.
    async fn accept(&self, caller: &Caller, id: ConversationId) -> Result<Conversation>;
    /// Declines a conversation. The other person is not informed.
    async fn decline(&self, caller: &Caller, id: ConversationId) -> Result<()>;
}
