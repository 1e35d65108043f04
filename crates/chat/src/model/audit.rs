use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    audit::{ExportEvent, ExportHeader},
    id::RoomId,
};

/// A range of events.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditRange {
    /// The number of the first event: 1 by default.
    pub from: Option<i64>,
    /// The number of the last event: that of the room by default. At most 1,000 events are returned.
    pub to: Option<i64>,
}

/// The hashes of a range of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RoomAudit)]
pub struct Audit {
    /// The room.
    pub room_id: RoomId,
    /// The number of the room's last event.
    pub last_seq: i64,
    /// The hash of that event; empty if there is none.
    pub last_hash: String,
    /// The events, in their order.
    pub events: Vec<AuditEvent>,
}

/// An event with its hash: SHA-256, in hexadecimal, over the hash of the event before it and the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RoomAuditEvent)]
pub struct AuditEvent {
    /// The number of the event.
    pub seq: i64,
    /// What has happened, as canonical JSON. Contents appear as hashes.
    pub record: String,
    /// The hash.
    pub hash: String,
}

/// A part of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportPart {
    /// The first line.
    pub header: ExportHeader,
    /// The events of this part, in their order.
    pub events: Vec<ExportEvent>,
}
