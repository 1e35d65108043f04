//! What followers of a room get, beside messages.

use guildhall_kernel::{Person, Timestamp, UserId};
use guildhall_realtime::StreamName;
use serde::Serialize;

use crate::{
    entity::participant::Role,
    id::{MessageId, RoomId},
    model::CloseReason,
};

/// The kind of the streams of rooms.
pub(crate) const KIND: &str = "chat";

/// An event of a room, or something transient about its people.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Frame<'a> {
    MessageEdited {
        message_id: MessageId,
        content: &'a str,
        edited_at: Timestamp,
    },
    MessageDeleted {
        message_id: MessageId,
    },
    Reaction {
        message_id: MessageId,
        user: &'a Person,
        emoji: &'a str,
        on: bool,
    },
    MessagePinned {
        message_id: MessageId,
        user_id: UserId,
        on: bool,
    },
    RoomChanged {
        name: &'a str,
        description: &'a str,
        allow_file_uploads: bool,
        slow_mode_seconds: i64,
        max_participants: i64,
    },
    RoleChanged {
        user_id: UserId,
        role: Role,
    },
    MemberMuted {
        user_id: UserId,
        muted_until: Option<Timestamp>,
    },
    RoomClosed {
        reason: CloseReason,
    },
    /// Transient: the host has no connection, and the room closes at that time.
    HostAway {
        closes_at: Timestamp,
    },
    /// Transient: the host has a connection again.
    HostBack,
    /// Transient: the user has read the messages up to this number.
    Read {
        user_id: UserId,
        no: i64,
    },
    /// Transient.
    Typing {
        user: &'a Person,
        on: bool,
    },
    /// Transient, to the sockets of one process: the user has a connection to the room over it, or no longer.
    Presence {
        user: &'a Person,
        online: bool,
    },
    /// Transient, to the sockets of one process: the number of users with a connection to a large room over it.
    PresenceCount {
        count: usize,
    },
}

/// The stream of a room.
pub(crate) fn stream(room: RoomId) -> StreamName {
    StreamName::new(KIND, room.0)
}
