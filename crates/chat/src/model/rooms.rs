use garde::Validate;
use guildhall_kernel::{Person, Timestamp, not_null, text, text_or_null};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{entity::participant::Role, id::RoomId};

/// The greatest number of participants of a room.
pub(crate) const MAX_PARTICIPANTS: i64 = 10_000;
/// The number of participants of a room unless its host wants another one.
const DEFAULT_PARTICIPANTS: i64 = 100;
/// The longest wait between two messages in slow mode, in seconds.
const MAX_SLOW_MODE: i64 = 3600;
const MAX_NAME: usize = 100;
const MAX_DESCRIPTION: usize = 2000;

/// A chat room as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ChatRoom)]
pub struct Room {
    /// The room's id.
    pub id: RoomId,
    /// The name.
    pub name: String,
    /// What the room is for.
    pub description: String,
    /// Who has opened it, or to whom it was handed over; `null` once their account is deleted.
    pub host: Option<Person>,
    /// Whether it is open.
    pub is_active: bool,
    /// The number of people who take part, with the host.
    pub participant_count: i64,
    /// The greatest number of people who can take part.
    pub max_participants: i64,
    /// Whether the caller takes part.
    pub is_participant: bool,
    /// The caller's role, if they take part.
    pub my_role: Option<Role>,
    /// The number of messages that the caller has not read, if they take part.
    pub unread_count: Option<i64>,
    /// The number of the last event.
    pub last_seq: i64,
    /// Whether it is in the list of rooms.
    pub is_listed: bool,
    /// Whether whoever asks to join joins at once.
    pub auto_approve: bool,
    /// Whether participants see what happened before they joined.
    pub history_from_start: bool,
    /// Whether participants can send files.
    pub allow_file_uploads: bool,
    /// How long a participant has to wait between two messages, in seconds; 0 for no wait.
    pub slow_mode_seconds: i64,
    /// When it closes unless the host comes back; `null` while the host is not away.
    pub closes_at: Option<Timestamp>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When its name or settings were last changed.
    pub updated_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// Filters of the list of rooms.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RoomFilter {
    /// Only rooms that the caller takes part in, listed or not.
    #[serde(default)]
    pub joined: bool,
    /// The closed rooms that the caller took part in, instead of the active ones.
    #[serde(default)]
    pub closed: bool,
}

/// A room to open.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[schema(as = NewChatRoom)]
pub struct NewRoom {
    /// The name: 1 to 100 characters.
    #[garde(custom(text::line(1, MAX_NAME)))]
    pub name: String,
    /// What the room is for, at most 2,000 characters.
    #[serde(default)]
    #[garde(custom(text::block(0, MAX_DESCRIPTION)))]
    pub description: String,
    /// Whether it is in the list of rooms: `true` by default.
    #[serde(default = "yes")]
    #[garde(skip)]
    pub is_listed: bool,
    /// Whether whoever asks to join joins at once: `false` by default.
    #[serde(default)]
    #[garde(skip)]
    pub auto_approve: bool,
    /// Whether participants see what happened before they joined: `true` by default.
    #[serde(default = "yes")]
    #[garde(skip)]
    pub history_from_start: bool,
    /// Whether participants can send files: `true` by default.
    #[serde(default = "yes")]
    #[garde(skip)]
    pub allow_file_uploads: bool,
    /// How long a participant has to wait between two messages, in seconds: 0 by default, at most an hour.
    #[serde(default)]
    #[garde(range(min = 0, max = MAX_SLOW_MODE))]
    pub slow_mode_seconds: i64,
    /// The greatest number of people who can take part: 100 by default, 2 to 10,000.
    #[serde(default = "default_participants")]
    #[garde(range(min = 2, max = MAX_PARTICIPANTS))]
    pub max_participants: i64,
}

fn yes() -> bool {
    true
}

fn default_participants() -> i64 {
    DEFAULT_PARTICIPANTS
}

impl NewRoom {
    /// A room with this name and the default settings.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            is_listed: true,
            auto_approve: false,
            history_from_start: true,
            allow_file_uploads: true,
            slow_mode_seconds: 0,
            max_participants: DEFAULT_PARTICIPANTS,
        }
    }
}

/// A change of a room; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[schema(as = ChatRoomPatch)]
pub struct RoomPatch {
    /// The name: 1 to 100 characters.
    #[serde(default, deserialize_with = "not_null")]
    #[garde(custom(text::maybe(text::line(1, MAX_NAME))))]
    pub name: Option<String>,
    /// What the room is for, at most 2,000 characters.
    #[serde(default, deserialize_with = "text_or_null")]
    #[garde(custom(text::maybe(text::block(0, MAX_DESCRIPTION))))]
    pub description: Option<String>,
    /// Whether it is in the list of rooms.
    #[serde(default, deserialize_with = "not_null")]
    #[garde(skip)]
    pub is_listed: Option<bool>,
    /// Whether whoever asks to join joins at once.
    #[serde(default, deserialize_with = "not_null")]
    #[garde(skip)]
    pub auto_approve: Option<bool>,
    /// Whether participants see what happened before they joined.
    #[serde(default, deserialize_with = "not_null")]
    #[garde(skip)]
    pub history_from_start: Option<bool>,
    /// Whether participants can send files.
    #[serde(default, deserialize_with = "not_null")]
    #[garde(skip)]
    pub allow_file_uploads: Option<bool>,
    /// How long a participant has to wait between two messages, in seconds, at most an hour.
    #[serde(default, deserialize_with = "not_null")]
    #[garde(range(min = 0, max = MAX_SLOW_MODE))]
    pub slow_mode_seconds: Option<i64>,
    /// The greatest number of people who can take part, 2 to 10,000; not less than those who do.
    #[serde(default, deserialize_with = "not_null")]
    #[garde(range(min = 2, max = MAX_PARTICIPANTS))]
    pub max_participants: Option<i64>,
}

/// Why a room was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RoomCloseReason)]
pub enum CloseReason {
    /// The host or staff have closed it.
    Closed,
    /// The host has left.
    HostLeft,
    /// The host had no connection for too long.
    HostAway,
    /// The host's account was deleted.
    HostDeleted,
}

impl CloseReason {
    /// The name on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HostLeft => "host_left",
            Self::HostAway => "host_away",
            Self::HostDeleted => "host_deleted",
        }
    }
}
