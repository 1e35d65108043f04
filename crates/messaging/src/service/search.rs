//! Full-text search.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery};

use crate::{error::Result, id::ConversationId, model::Message};

/// Full-text search.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Search: Send + Sync + 'static {
    /// The messages that contain all terms of a text, newest first, in one or all of the caller's conversations.
    async fn search_messages(
        &self,
        caller: &Caller,
        text: String,
        conversation: Option<ConversationId>,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Message>>;
}
