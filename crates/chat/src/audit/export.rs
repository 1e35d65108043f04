//! The lines of an exported room.

use guildhall_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::RoomId;

/// The format that the first line names.
pub const FORMAT: &str = "guildhall-room-1";

/// The first line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportHeader {
    /// [`FORMAT`].
    pub format: String,
    /// The room.
    pub room_id: RoomId,
    /// Its name.
    pub name: String,
    /// The number of the last event of the export.
    pub last_seq: i64,
    /// The hash of that event; empty if there is none.
    pub last_hash: String,
    /// When it was exported.
    pub exported_at: Timestamp,
}

/// A further line of an export: an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportEvent {
    /// The number of the event.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
    /// What has happened. `content_hash` is the hash of the salt and the content.
    pub record: Value,
    /// The content that was written with this event; absent once it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The salt of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
}
