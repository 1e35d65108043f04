use garde::Validate;
use guildhall_kernel::{Person, Timestamp, not_null, present, text};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    entity::{conversation::ConversationKind, member::MemberState},
    id::ConversationId,
    model::{MAX_CONTENT, Message},
};

/// A conversation as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Conversation {
    /// The conversation's id.
    pub conversation_id: ConversationId,
    /// Whether it is of two people or of a group.
    pub kind: ConversationKind,
    /// The name of a group; empty for two people.
    pub name: String,
    /// The other person; `null` in a group, or once their account is deleted.
    pub other_user: Option<Person>,
    /// The owner of a group.
    pub owner: Option<Person>,
    /// The number of people.
    pub member_count: i64,
    /// The newest message that the caller has not deleted.
    pub last_message: Option<Message>,
    /// The number of messages of others that the caller has not read.
    pub unread_count: i64,
    /// How the caller takes part.
    pub state: MemberState,
    /// Whether the caller has marked it as unread.
    pub is_marked_unread: bool,
    /// Whether the caller has archived it.
    pub is_archived: bool,
    /// Whether the caller has pinned it.
    pub is_pinned: bool,
    /// Until when the caller gets no notifications about it.
    pub muted_until: Option<Timestamp>,
    /// A message that the caller has not sent yet.
    pub draft: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When its name, owner or members were last changed.
    pub updated_at: Timestamp,
}

/// Filters of the inbox.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InboxFilter {
    /// The archived conversations instead of the others.
    #[serde(default)]
    pub archived: bool,
    /// Only conversations whose newest message has this type.
    pub message_type: Option<String>,
    /// Only conversations with unread messages, or marked as unread.
    #[serde(default)]
    pub unread: bool,
}

/// A change of what only the caller sees of a conversation; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct ConversationState {
    /// No notifications until then; `null` for notifications again.
    #[serde(default, deserialize_with = "present")]
    #[garde(skip)]
    #[schema(value_type = Option<Timestamp>)]
    pub muted_until: Option<Option<Timestamp>>,
    /// Whether it is archived. A new message brings it back, unless it is muted.
    #[serde(default, deserialize_with = "not_null")]
    #[garde(skip)]
    pub is_archived: Option<bool>,
    /// Whether it is pinned to the top of the inbox.
    #[serde(default, deserialize_with = "not_null")]
    #[garde(skip)]
    pub is_pinned: Option<bool>,
    /// Whether it is marked as unread.
    #[serde(default, deserialize_with = "not_null")]
    #[garde(skip)]
    pub is_marked_unread: Option<bool>,
    /// A message that is not sent yet; `null` or an empty text for none.
    #[serde(default, deserialize_with = "present")]
    #[garde(custom(text::maybe(text::maybe(text::block(0, MAX_CONTENT)))))]
    #[schema(value_type = Option<String>)]
    pub draft: Option<Option<String>>,
}
