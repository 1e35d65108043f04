//! The names and addresses of conversations.

use guildhall_messaging::{Conversation, Target};

use crate::view::View;

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

/// The name of a conversation: of the other person, or of the group.
pub(crate) fn conversation_name(view: &View, conversation: &Conversation) -> String {
    match (&conversation.other_user, conversation.name.as_str()) {
        (Some(person), _) => person.display_name.clone(),
        (None, "") => view.t("deleted-user"),
        (None, name) => name.to_owned(),
    }
}
