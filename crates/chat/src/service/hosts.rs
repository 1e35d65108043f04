//! Hosts and co-hosts.

use async_trait::async_trait;
use guildhall_kernel::{Caller, UserId};

use crate::{error::Result, id::RoomId, model::Room};

/// Hosts and co-hosts.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Hosts: Send + Sync + 'static {
    /// Makes a participant a co-host; a room has at most 20. Only the host and staff may.
    async fn add_cohost(&self, caller: &Caller, room: RoomId, user: UserId) -> Result<()>;
    /// Makes a co-host a participant like others. Only the host and staff may.
    async fn remove_cohost(&self, caller: &Caller, room: RoomId, user: UserId) -> Result<()>;
    /// Makes a participant the host. The host becomes a co-host, or a participant like others if there are 20. Only the
    /// host and staff may.
    async fn hand_over(&self, caller: &Caller, room: RoomId, user: UserId) -> Result<Room>;
}
