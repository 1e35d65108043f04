//! Sending and reading messages.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery};

use crate::{
    error::Result,
    id::{MessageId, RoomId},
    model::{Message, NewFile, NewMessage, Sent},
};

/// Sending and reading messages. Only participants may.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Messages: Send + Sync + 'static {
    /// Sends a message. The same `client_id` again returns the first one.
    async fn send(&self, caller: &Caller, room: RoomId, new: NewMessage) -> Result<Sent>;
    /// Sends a file.
    async fn send_file(&self, caller: &Caller, room: RoomId, new: NewFile) -> Result<Sent>;
    /// The messages of a room, newest first; the keys are the numbers of their events.
    async fn messages(&self, caller: &Caller, room: RoomId, cursor: CursorQuery) -> Result<CursorPage<Message>>;
    /// Up to `limit` messages before and after an event, newest first.
    async fn messages_around(&self, caller: &Caller, room: RoomId, seq: i64, limit: u64) -> Result<Vec<Message>>;
    /// Those of these messages of a room that exist and that the caller can read, up to 100, oldest first.
    async fn messages_by_id(&self, caller: &Caller, room: RoomId, ids: Vec<MessageId>) -> Result<Vec<Message>>;
    /// A message.
    async fn message(&self, caller: &Caller, room: RoomId, id: MessageId) -> Result<Message>;
}
