//! Requests to join a room.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery};

use crate::{
    error::Result,
    id::RoomId,
    model::{JoinRequest, Joined, OwnRequest, RequestRef},
};

/// Requests to join a room.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Requests: Send + Sync + 'static {
    /// Asks to join a room; at once if the room approves everybody. Again, returns the request that waits.
    async fn join(&self, caller: &Caller, room: RoomId) -> Result<Joined>;
    /// The caller's last request to join a room, if they have ever made one.
    async fn own_request(&self, caller: &Caller, room: RoomId) -> Result<Option<OwnRequest>>;
    /// Takes the caller's request back.
    async fn withdraw(&self, caller: &Caller, room: RoomId) -> Result<()>;
    /// The requests that wait, oldest first. Only the host, co-hosts and staff may.
    async fn requests(&self, caller: &Caller, room: RoomId, page: PageQuery) -> Result<Page<JoinRequest>>;
    /// Approves a request: the user takes part. Only the host, co-hosts and staff may.
    async fn approve(&self, caller: &Caller, room: RoomId, request: RequestRef) -> Result<JoinRequest>;
    /// Refuses a request. Only the host, co-hosts and staff may.
    async fn deny(&self, caller: &Caller, room: RoomId, request: RequestRef) -> Result<JoinRequest>;
}
