//! Rooms.

use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{
    error::Result,
    id::RoomId,
    model::{NewRoom, Room, RoomFilter, RoomPatch},
};

/// Rooms.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Rooms: Send + Sync + 'static {
    /// The active rooms that are listed, or those of the caller; newest first.
    async fn rooms(&self, caller: &Caller, filter: RoomFilter, page: PageQuery) -> Result<Page<Room>>;
    /// Opens a room, with the caller as its host and first participant. Only teachers and superusers may.
    async fn open_room(&self, caller: &Caller, new: NewRoom) -> Result<Room>;
    /// An active room, or a closed one in which the caller took part.
    async fn room(&self, caller: &Caller, id: RoomId) -> Result<Room>;
    /// Changes a room. Only its host and staff may.
    async fn change_room(&self, caller: &Caller, id: RoomId, patch: RoomPatch, known: IfMatch) -> Result<Room>;
    /// Closes a room. Its participants can still read it. Only its host and staff may.
    async fn close_room(&self, caller: &Caller, id: RoomId) -> Result<()>;
}
