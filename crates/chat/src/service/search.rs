//! Full-text search.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery};

use crate::{error::Result, id::RoomId, model::Message};

/// Full-text search.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Search: Send + Sync + 'static {
    /// The messages of the caller's rooms, or of one of them, that contain all words of a text; newest first. The last
    /// word may be the prefix of a word. Without a room, the 200 rooms that the caller has joined most recently are
    /// searched.
    async fn search_messages(
        &self,
        caller: &Caller,
        text: String,
        room: Option<RoomId>,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Message>>;
}
