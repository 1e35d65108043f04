//! The events of this crate.

use guildhall_kernel::{UserId, define_events};

use crate::id::{ConversationId, MessageId};

fn conversation(id: ConversationId) -> String {
    format!("messaging/conversation/{id}")
}

define_events! {
    /// A message was sent to people who take part in the conversation.
    MessageSent("messaging.message_sent", |event| conversation(event.conversation)) {
        /// The message.
        message: MessageId,
        /// The conversation.
        conversation: ConversationId,
        /// The sender.
        sender: UserId,
        /// The receiver; `None` in a group, see [`SqlMessaging::recipients`](crate::SqlMessaging::recipients).
        receiver: Option<UserId>,
    }
    /// Somebody has begun a conversation that the receiver has to accept.
    RequestReceived("messaging.request_received", |event| conversation(event.conversation)) {
        /// The first message; `None` if it is a group.
        message: Option<MessageId>,
        /// The conversation.
        conversation: ConversationId,
        /// The user who began it.
        sender: UserId,
        /// The user who has to accept it.
        receiver: UserId,
    }
    /// A conversation was accepted.
    RequestAccepted("messaging.request_accepted", |event| conversation(event.conversation)) {
        /// The conversation.
        conversation: ConversationId,
        /// The user who has accepted it.
        user: UserId,
    }
    /// The content of a message was changed.
    MessageEdited("messaging.message_edited", |event| conversation(event.conversation)) {
        /// The message.
        message: MessageId,
        /// The conversation.
        conversation: ConversationId,
    }
    /// A message was deleted for everybody.
    MessageDeleted("messaging.message_deleted", |event| conversation(event.conversation)) {
        /// The message.
        message: MessageId,
        /// The conversation.
        conversation: ConversationId,
    }
    /// Somebody has reacted to a message.
    ReactionAdded("messaging.reaction_added", |event| conversation(event.conversation)) {
        /// The message.
        message: MessageId,
        /// The conversation.
        conversation: ConversationId,
        /// The user who has reacted.
        user: UserId,
        /// The sender of the message, unless the account was deleted.
        sender: Option<UserId>,
        /// The emoji.
        emoji: String,
    }
    /// Somebody has read a conversation up to a message.
    ConversationRead("messaging.conversation_read", |event| conversation(event.conversation)) {
        /// The conversation.
        conversation: ConversationId,
        /// The reader.
        user: UserId,
        /// The number in the conversation of the last message that they have read.
        up_to: i64,
    }
    /// Somebody was added to a group.
    MemberAdded("messaging.member_added", |event| conversation(event.conversation)) {
        /// The group.
        conversation: ConversationId,
        /// The new member.
        user: UserId,
        /// The user who added them.
        actor: UserId,
    }
    /// A member was removed from a group.
    MemberRemoved("messaging.member_removed", |event| conversation(event.conversation)) {
        /// The group.
        conversation: ConversationId,
        /// The former member.
        user: UserId,
        /// The user who removed them.
        actor: UserId,
    }
    /// A member has left a group.
    MemberLeft("messaging.member_left", |event| conversation(event.conversation)) {
        /// The group.
        conversation: ConversationId,
        /// The former member.
        user: UserId,
    }
    /// A group has another owner.
    OwnerChanged("messaging.owner_changed", |event| conversation(event.conversation)) {
        /// The group.
        conversation: ConversationId,
        /// The owner now.
        owner: UserId,
    }
}
