//! Hosts and co-hosts.

use async_trait::async_trait;
use guildhall_kernel::{Caller, UserId};

use crate::{error::Result, id::RoomId, model::Room};

/// Hosts and co-hosts.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Hosts: Send + Sync + 'static {
    /// Makes a participant a co-host. Only the host and staff may.
    async fn add_cohost(&self, caller: &Caller, room: RoomId, user: UserId) -> Result<()>;
    /// Makes a co-host a participant like others. Only the host and staff may.
    async fn remove_cohost(&self, caller: &Caller, room: RoomId, user: UserId) -> Result<()>;
    /// Makes a participant the host; the host becomes a co-host. Only the host and staff may.
    async fn hand_over(&self, caller: &Caller, room: RoomId, user: UserId) -> Result<Room>;
}
