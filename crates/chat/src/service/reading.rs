//! What the caller has read.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{error::Result, id::RoomId};

/// What the caller has read.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Reading: Send + Sync + 'static {
    /// Marks the messages of a room as read, up to an event or all.
    async fn mark_read(&self, caller: &Caller, room: RoomId, up_to: Option<i64>) -> Result<()>;
}
