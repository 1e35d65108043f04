//! The chain of hashes, and the export of a room.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{
    error::Result,
    id::RoomId,
    model::{Audit, AuditRange, ExportPart},
};

/// The chain of hashes, and the export of a room.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Audits: Send + Sync + 'static {
    /// The hashes of a range of events, with which a participant can check that they have received all.
    async fn audit(&self, caller: &Caller, room: RoomId, range: AuditRange) -> Result<Audit>;
    /// The events of a room after a number, at most 200, up to `end`: the part of an export. `end` is `None` for the
    /// first part, then the last number of its header. Only the host and staff may.
    async fn export(&self, caller: &Caller, room: RoomId, after: i64, end: Option<i64>) -> Result<ExportPart>;
}
