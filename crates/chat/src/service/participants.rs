//! The people in a room.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery, UserId};

use crate::{
    error::Result,
    id::RoomId,
    model::{Leave, Mute, Participant},
};

/// The people in a room.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Participants: Send + Sync + 'static {
    /// The people who take part, in the order in which they joined. Only they and staff may know.
    async fn participants(&self, caller: &Caller, room: RoomId, page: PageQuery) -> Result<Page<Participant>>;
    /// Lets a user take part at once, also one who was removed. Only the host, co-hosts and staff may.
    async fn invite(&self, caller: &Caller, room: RoomId, user: UserId) -> Result<Participant>;
    /// Removes a participant, who gets nothing more from then on. Only the host, co-hosts and staff may.
    async fn remove(&self, caller: &Caller, room: RoomId, user: UserId) -> Result<Participant>;
    /// Keeps a participant from sending messages for some time. Only the host, co-hosts and staff may.
    async fn mute(&self, caller: &Caller, room: RoomId, mute: Mute) -> Result<Participant>;
    /// Leaves a room, or withdraws the request to join it. When the host leaves, the room closes, unless they hand it
    /// over.
    async fn leave(&self, caller: &Caller, room: RoomId, how: Leave) -> Result<()>;
}
