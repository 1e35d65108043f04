//! Reactions to messages.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{
    error::Result,
    id::{MessageId, RoomId},
};

/// Reactions to messages.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Reactions: Send + Sync + 'static {
    /// Reacts with an emoji. Again, changes nothing.
    async fn react(&self, caller: &Caller, room: RoomId, id: MessageId, emoji: String) -> Result<()>;
    /// Removes a reaction. Without one, changes nothing.
    async fn unreact(&self, caller: &Caller, room: RoomId, id: MessageId, emoji: String) -> Result<()>;
}
