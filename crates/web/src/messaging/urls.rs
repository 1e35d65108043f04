//! The addresses of conversations.

use guildhall_messaging::{Conversation, Target};

/// The address of the conversation with a user, or of one with an id.
pub(super) fn target_url(target: Target) -> String {
    match target {
        Target::User(user) => format!("/messaging/conversation/{user}/"),
        Target::Conversation(id) => format!("/messaging/{id}/"),
    }
}

/// The address of a conversation. One of two people has the id of the other one in it.
pub(crate) fn conversation_url(conversation: &Conversation) -> String {
    let other = conversation.other_user.as_ref().map(|person| Target::User(person.id));
    target_url(other.unwrap_or(Target::Conversation(conversation.conversation_id)))
}
