//! Reading, and the number of unread messages.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{error::Result, id::MessageId, model::Target};

/// Reading, and the number of unread messages.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Reading: Send + Sync + 'static {
    /// Marks the messages of a conversation up to this one as read. 404 unless somebody else has sent it to the caller.
    async fn mark_read(&self, caller: &Caller, id: MessageId) -> Result<()>;
    /// Marks a conversation as read, up to a message or the whole.
    async fn mark_conversation_read(&self, caller: &Caller, of: Target, up_to: Option<MessageId>) -> Result<()>;
    /// The number of messages that the caller has not read, in all conversations.
    async fn unread_count(&self, caller: &Caller) -> Result<i64>;
}
