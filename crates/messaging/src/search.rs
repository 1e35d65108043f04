//! The terms of messages in the full-text index.

use guildhall_kernel::{
    UserId,
    search::{self, ScopeTerm},
};

use crate::id::ConversationId;

/// The scope of the messages of a conversation.
pub(crate) fn conversation_scope(id: ConversationId) -> ScopeTerm {
    ScopeTerm::new('c', id.0)
}

/// The scope of the direct messages of a user.
pub(crate) fn user_scope(id: UserId) -> ScopeTerm {
    ScopeTerm::new('u', id.0)
}

/// The terms of a message for the index: those of its conversation, of its two people if it is direct, and of its
/// content. With the scopes a search reads only messages of the caller; who may read them is checked nevertheless.
pub(crate) fn document(content: &str, conversation: ConversationId, people: Option<[UserId; 2]>) -> String {
    let people = people.into_iter().flatten().map(user_scope);
    search::scoped_terms(std::iter::once(conversation_scope(conversation)).chain(people), content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_indexed_with_its_conversation_and_people() {
        let people = Some([UserId(1), UserId(22)]);
        assert_eq!(document("Café!", ConversationId(3), people), "zqc3 zqu1 zqu22 cafe");
        assert_eq!(document("東京大学", ConversationId(3), None), "zqc3 東京 京大 大学 学");
    }
}
