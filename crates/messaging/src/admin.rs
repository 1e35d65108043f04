//! The tables of this crate for the admin panel. What people have written is not shown there.

use guildhall_kernel::admin::Model;

use crate::entity::{
    attachment, block, conversation, hidden, link_preview, member, message, message_type, reaction, revision, settings,
};

/// The direct conversations whose other side is empty, and the groups of a user in which nobody else is.
const LEFT_TO_NOBODY: &str = "((pair_low = $1 AND pair_high IS NULL) OR (pair_high = $1 AND pair_low IS NULL) \
    OR (kind = 'group' AND owner_id = $1 AND NOT EXISTS (SELECT 1 FROM messaging_member m \
    WHERE m.conversation_id = messaging_conversation.id AND m.user_id <> $1 AND m.state = 'active')))";

/// Every table of this crate.
pub fn admin() -> Vec<Model> {
    vec![
        Model::new(conversation::Entity, "conversation")
            .list(&["kind", "name", "owner_id", "member_count", "last_no", "created_at"])
            .filters(&["kind", "owner_id"])
            .removed_with_user(LEFT_TO_NOBODY),
        Model::new(member::Entity, "member of a conversation")
            .without(&["draft"])
            .list(&["conversation_id", "user_id", "state", "unread_count", "joined_at"])
            .filters(&["conversation_id", "user_id"]),
        Model::new(message::Entity, "message")
            .without(&["content"])
            .list(&["conversation_id", "no", "sender_id", "receiver_id", "created_at", "deleted_at"])
            .filters(&["conversation_id", "sender_id", "receiver_id"]),
        Model::new(attachment::Entity, "attachment of a message")
            .without(&["name"])
            .list(&["message_id", "uploader_id", "content_type", "size", "created_at"])
            .filters(&["message_id", "uploader_id"]),
        Model::new(link_preview::Entity, "link preview of a message")
            .without(&["page"])
            .list(&["message_id", "attempts", "next_at"])
            .filters(&["message_id"]),
        Model::new(message_type::Entity, "type of messages").list(&["name", "is_active"]).filters(&["is_active"]),
        Model::new(revision::Entity, "revision of a message")
            .without(&["content"])
            .list(&["message_id", "created_at"])
            .filters(&["message_id"]),
        Model::new(hidden::Entity, "hidden message").list(&["user_id", "message_id"]).filters(&["user_id"]),
        Model::new(reaction::Entity, "reaction to a message")
            .list(&["message_id", "user_id", "emoji", "created_at"])
            .filters(&["user_id"]),
        Model::new(block::Entity, "block")
            .list(&["blocker_id", "blocked_id", "created_at"])
            .filters(&["blocker_id", "blocked_id"]),
        Model::new(settings::Entity, "messaging settings")
            .list(&["user_id", "accepts_requests_only", "sends_receipts", "is_discoverable"])
            .filters(&["user_id"]),
    ]
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::assert_tables_described;

    use super::*;
    use crate::migrations::with_people_table;

    #[tokio::test]
    async fn every_table_is_described_once_and_with_known_columns() {
        assert_tables_described("messaging_", with_people_table, admin()).await;
    }

    #[test]
    fn what_people_have_written_is_not_in_the_admin_panel() {
        let columns = admin().into_iter().flat_map(|model| model.columns);
        let private = ["content", "draft", "page"];
        assert!(columns.into_iter().all(|column| !private.contains(&column.name.as_str())));
    }
}
