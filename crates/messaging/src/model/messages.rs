use std::collections::{BTreeMap, BTreeSet};

use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, link_preview::LinkPreview, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    id::{AttachmentId, ConversationId, MessageId},
    model::{Attachment, MAX_ATTACHMENTS},
};

/// The greatest length of a message, in characters.
pub(crate) const MAX_CONTENT: usize = 10_000;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DirectMessage)]
pub struct Message {
    /// The message's id.
    pub id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// Its number in the conversation, from 1 without gaps.
    pub no: i64,
    /// The text; empty if the message was deleted, or cannot be read.
    pub content: String,
    /// Whether the content cannot be read, because the server does not have the key that it was encrypted with; absent
    /// if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub is_unreadable: bool,
    /// The sender; `null` once their account is deleted.
    pub sender_id: Option<UserId>,
    /// The other person; `null` in a group, or once their account is deleted.
    pub receiver_id: Option<UserId>,
    /// When it was sent.
    pub timestamp: Timestamp,
    /// In a conversation of two, whether the receiver has read it, if both send receipts. In a group, whether the
    /// caller has.
    pub is_read: bool,
    /// The name of its type.
    pub message_type: String,
    /// The id that the sender's client gave it.
    pub client_id: Option<String>,
    /// Whether the server wrote it about the conversation.
    pub is_system: bool,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// The files attached to it.
    pub attachments: Vec<Attachment>,
    /// A preview of the first page that it links to, once that was fetched.
    pub link_preview: Option<LinkPreview>,
    /// When the content was last changed.
    pub edited_at: Option<Timestamp>,
    /// Whether it was deleted for everybody.
    pub is_deleted: bool,
    /// How often each emoji was chosen as a reaction.
    pub reactions: BTreeMap<String, i64>,
    /// The caller's reactions; absent in events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub my_reactions: Option<Vec<String>>,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To another user.
    User(UserId),
    /// To a conversation.
    Conversation(ConversationId),
}

/// A message to send.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewMessage {
    /// The text: 1 to 10,000 characters, or none if there are attachments.
    #[serde(default)]
    #[garde(custom(text::block(usize::from(self.attachments.is_empty()), MAX_CONTENT)))]
    pub content: String,
    /// Files that the sender has uploaded in the last day and not sent yet: up to 10.
    #[serde(default)]
    #[garde(length(max = MAX_ATTACHMENTS), custom(distinct))]
    pub attachments: Vec<AttachmentId>,
    /// The name of its type: `text` by default.
    #[garde(skip)]
    pub message_type: Option<String>,
    /// An id of the client's choice, up to 64 letters, digits, `_` and `-`. The same id again returns the first
    /// message.
    #[garde(skip)]
    pub client_id: Option<String>,
    /// The message of the same conversation that it replies to.
    #[garde(skip)]
    pub reply_to: Option<MessageId>,
    /// The `Idempotency-Key` of the request, which serves as the `client_id` if there is none.
    #[serde(skip)]
    #[schema(ignore)]
    #[garde(skip)]
    pub key: Option<String>,
}

/// A rule: no attachment twice.
fn distinct(ids: &[AttachmentId], (): &()) -> garde::Result {
    let different: BTreeSet<&AttachmentId> = ids.iter().collect();
    if different.len() == ids.len() { Ok(()) } else { Err(garde::Error::new("Attach each file once.")) }
}

impl NewMessage {
    /// A text message.
    pub fn text(content: impl Into<String>) -> Self {
        Self { content: content.into(), ..Self::default() }
    }
}

/// The outcome of sending a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The message.
    pub message: Message,
    /// Whether it had been sent before, with the same `client_id`.
    pub duplicate: bool,
}

/// A part of the messages of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Oldest first.
    pub messages: Vec<Message>,
    /// The other person; `None` in a group, or once their account is deleted.
    pub other_user: Option<Person>,
    /// Whether there are more messages in the direction of the request: older ones, or with `after` newer ones.
    pub has_more: bool,
}
