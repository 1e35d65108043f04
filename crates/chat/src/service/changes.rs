//! Editing and deleting messages.

use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch};

use crate::{
    error::Result,
    id::{MessageId, RoomId},
    model::{Message, MessagePatch, Revision},
};

/// Editing and deleting messages.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Changes: Send + Sync + 'static {
    /// Changes the text of a message. Only its sender may, for some time.
    async fn edit(
        &self,
        caller: &Caller,
        room: RoomId,
        id: MessageId,
        patch: MessagePatch,
        known: IfMatch,
    ) -> Result<Message>;
    /// Deletes the content of a message. Its sender may for some time, the host and co-hosts always.
    async fn delete(&self, caller: &Caller, room: RoomId, id: MessageId) -> Result<()>;
    /// The contents of a message before it was edited, oldest first.
    async fn revisions(&self, caller: &Caller, room: RoomId, id: MessageId) -> Result<Vec<Revision>>;
}
