//! Pinned messages.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{
    error::Result,
    id::{MessageId, RoomId},
    model::Pin,
};

/// Pinned messages.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Pins: Send + Sync + 'static {
    /// The pinned messages of a room, newest first.
    async fn pins(&self, caller: &Caller, room: RoomId) -> Result<Vec<Pin>>;
    /// Pins a message. Only the host and co-hosts may. Again, changes nothing.
    async fn pin(&self, caller: &Caller, room: RoomId, id: MessageId) -> Result<()>;
    /// Unpins a message. Only the host and co-hosts may. If it is not pinned, changes nothing.
    async fn unpin(&self, caller: &Caller, room: RoomId, id: MessageId) -> Result<()>;
}
