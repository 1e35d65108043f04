use std::collections::BTreeMap;

use bytes::Bytes;
use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    entity::message::MessageType,
    id::{MessageId, RoomId},
};

/// The greatest length of a message, in characters.
pub(crate) const MAX_CONTENT: usize = 10_000;

/// A message in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RoomMessage)]
pub struct Message {
    /// `message`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The message's id.
    pub id: MessageId,
    /// Its room.
    pub room_id: RoomId,
    /// The number of the event with which it was sent. The stream adds it to events.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = true)]
    pub seq: Option<i64>,
    /// Its number among the messages of the room, from 1 without gaps.
    pub no: i64,
    /// What it is.
    pub message_type: MessageType,
    /// Who has sent it; `null` for a system message, or once the account is deleted.
    pub sender: Option<Person>,
    /// What a system message says, for programs: `member_joined`, `member_left`, `member_removed`, `host_changed` or
    /// `room_closed`.
    pub event: Option<String>,
    /// The user that a system message is about.
    pub user: Option<Person>,
    /// The text; empty once it is deleted.
    pub content: String,
    /// The file.
    pub file: Option<MessageFile>,
    /// When it was sent.
    pub timestamp: Timestamp,
    /// The id that the sender's client gave it.
    pub client_id: Option<String>,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// When the content was last changed.
    pub edited_at: Option<Timestamp>,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// Whether it is pinned.
    pub is_pinned: bool,
    /// How often each emoji was chosen as a reaction.
    pub reactions: BTreeMap<String, i64>,
    /// The caller's reactions; absent in events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub my_reactions: Option<Vec<String>>,
}

/// The file of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RoomMessageFile)]
pub struct MessageFile {
    /// The absolute URL, signed for the caller, valid for an hour. In events, an address that checks the caller's
    /// access and redirects to it.
    pub url: String,
    /// The file name.
    pub name: String,
    /// The size, in bytes.
    pub size: i64,
    /// The media type that the sender's client has named.
    pub content_type: String,
}

/// A message to send.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[schema(as = NewRoomMessage)]
pub struct NewMessage {
    /// The text: 1 to 10,000 characters.
    #[garde(custom(text::block(1, MAX_CONTENT)))]
    pub content: String,
    /// An id of the client's choice, up to 64 letters, digits, `_` and `-`. The same id again returns the first
    /// message.
    #[garde(skip)]
    pub client_id: Option<String>,
    /// The message of the same room that it replies to.
    #[garde(skip)]
    pub reply_to: Option<MessageId>,
    /// The `Idempotency-Key` of the request, which serves as the `client_id` if there is none.
    #[serde(skip)]
    #[schema(ignore)]
    #[garde(skip)]
    pub key: Option<String>,
}

impl NewMessage {
    /// A text message.
    pub fn text(content: impl Into<String>) -> Self {
        Self { content: content.into(), ..Self::default() }
    }
}

/// A file to send.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// The file name.
    pub name: String,
    /// The media type that the client has named.
    pub content_type: String,
    /// The content of the file.
    pub bytes: Bytes,
    /// A text beside it, possibly empty, and the other members of a message.
    pub message: NewMessage,
}

/// The outcome of sending a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SentRoomMessage)]
pub struct Sent {
    /// The message.
    #[serde(flatten)]
    pub message: Message,
    /// Present if it had been sent before, with the same `client_id`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub duplicate: bool,
}
