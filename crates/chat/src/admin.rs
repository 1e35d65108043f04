//! The tables of this crate for the admin panel. What people have written is not shown there.

use guildhall_kernel::admin::Model;

use crate::entity::{event, file, host_connection, join_request, message, participant, pin, reaction, revision, room};

/// Every table of this crate.
pub fn admin() -> Vec<Model> {
    vec![
        Model::new(room::Entity, "chat room")
            .list(&["name", "host_id", "is_active", "participant_count", "last_no", "created_at"])
            .search(&["name"])
            .filters(&["host_id", "is_active"]),
        Model::new(participant::Entity, "participant of a room")
            .list(&["room_id", "user_id", "role", "state", "joined_at"])
            .filters(&["room_id", "user_id"]),
        Model::new(join_request::Entity, "request to join a room")
            .list(&["room_id", "user_id", "status", "created_at"])
            .filters(&["room_id", "user_id"]),
        Model::new(message::Entity, "message in a room")
            .without(&["content", "search_text", "salt"])
            .list(&["room_id", "no", "sender_id", "message_type", "created_at", "deleted_at"])
            .filters(&["room_id", "sender_id"]),
        Model::new(file::Entity, "file in a room").without(&["name"]).list(&["message_id", "content_type", "size"]),
        Model::new(revision::Entity, "revision of a message in a room")
            .without(&["content"])
            .list(&["room_id", "message_id", "created_at"])
            .filters(&["message_id"]),
        Model::new(reaction::Entity, "reaction in a room")
            .list(&["message_id", "user_id", "emoji", "created_at"])
            .filters(&["user_id"]),
        Model::new(pin::Entity, "pinned message")
            .list(&["room_id", "message_id", "pinned_by", "created_at"])
            .filters(&["room_id"]),
        Model::new(event::Entity, "event of a room").list(&["room_id", "seq", "hash"]).filters(&["room_id"]),
        Model::new(host_connection::Entity, "connection of a host").list(&["room_id", "node", "seen_at"]),
    ]
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::assert_tables_described;

    use super::*;
    use crate::migrations::with_people_table;

    #[tokio::test]
    async fn every_table_is_described_once_and_with_known_columns() {
        assert_tables_described("chat_", with_people_table, admin()).await;
    }

    #[test]
    fn what_people_have_written_is_not_in_the_admin_panel() {
        let columns = admin().into_iter().flat_map(|model| model.columns);
        assert!(columns.into_iter().all(|column| !["content", "search_text", "salt"].contains(&column.name.as_str())));
    }
}
