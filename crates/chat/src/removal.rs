//! What happens to a user's rooms and messages when their account is removed.

use std::sync::Arc;

use async_trait::async_trait;
use guildhall_kernel::{
    Blocker, Error, Result, Timestamp, UserId, UserRemoval,
    db::{self, Snapshot, Tx},
};
use sea_orm::FromQueryResult;
use serde_json::{Value, json};

use crate::{
    core::{Core, access::Access},
    entity::participant::ParticipantState,
    error,
    id::{MessageId, RoomId},
    model::CloseReason,
    sql::{SqlChat, close, end},
};

/// The rooms in which a user takes part or which they host, in the order in which rooms are locked.
const ROOMS: &str = "SELECT room_id FROM chat_participant WHERE user_id = $1 AND state = 'active' \
    UNION SELECT id FROM chat_room WHERE host_id = $1 AND is_active ORDER BY 1";

/// Deletes the personal rows of a user, and leaves their messages without a sender.
const RELEASE: [&str; 8] = [
    "DELETE FROM chat_participant WHERE user_id = $1",
    "DELETE FROM chat_join_request WHERE user_id = $1",
    "UPDATE chat_join_request SET decided_by = NULL WHERE decided_by = $1",
    "DELETE FROM chat_reaction WHERE user_id = $1",
    "UPDATE chat_pin SET pinned_by = NULL WHERE pinned_by = $1",
    "UPDATE chat_message SET sender_id = NULL, client_id = NULL WHERE sender_id = $1",
    "UPDATE chat_message SET subject_id = NULL WHERE subject_id = $1",
    "UPDATE chat_room SET host_id = NULL WHERE host_id = $1",
];

/// Whether any row of this crate references the user. A test compares it with the foreign keys.
const IS_USED: &str = "SELECT \
    EXISTS (SELECT 1 FROM chat_room WHERE host_id = $1) \
    OR EXISTS (SELECT 1 FROM chat_participant WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM chat_join_request WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM chat_join_request WHERE decided_by = $1) \
    OR EXISTS (SELECT 1 FROM chat_message WHERE sender_id = $1) \
    OR EXISTS (SELECT 1 FROM chat_message WHERE subject_id = $1) \
    OR EXISTS (SELECT 1 FROM chat_reaction WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM chat_pin WHERE pinned_by = $1)";

const OWN_ROOMS: &str = "SELECT r.id, r.name, p.role AS role, p.joined_at FROM chat_participant p JOIN chat_room r \
    ON r.id = p.room_id WHERE p.user_id = $1 AND p.state = 'active' ORDER BY r.id LIMIT 1000";
const OWN_MESSAGES: &str = "SELECT id, room_id, content, created_at FROM chat_message WHERE sender_id = $1 \
    AND deleted_at IS NULL ORDER BY id DESC LIMIT 1000";

#[derive(FromQueryResult)]
struct RoomRow {
    id: RoomId,
    name: String,
    role: String,
    joined_at: Timestamp,
}

#[derive(FromQueryResult)]
struct MessageRow {
    id: MessageId,
    room_id: RoomId,
    content: String,
    created_at: Timestamp,
}

/// Closes the rooms that the user hosts, takes them out of the others, and leaves their messages without a sender.
#[derive(Clone)]
pub struct Removal {
    core: Arc<Core>,
}

impl Removal {
    /// The handler for these services.
    pub fn new(chat: &SqlChat) -> Self {
        Self { core: chat.core.clone() }
    }

    /// Takes a user out of a room, or closes it if they are its host.
    async fn leave(&self, tx: &Tx, room: RoomId, user: UserId) -> error::Result<()> {
        let now = self.core.now();
        let access = Access::load_for_update(tx, user, room).await?;
        if access.is_active && access.host_id == Some(user) {
            close(&self.core, tx, &access, (CloseReason::HostDeleted, Some(user)), None, now).await?;
        }
        // Loaded again, because the room may have been closed.
        let access = Access::load(tx, user, room).await?;
        end(&self.core, tx, &access, (user, None), (ParticipantState::Left, user), now).await?;
        Ok(())
    }
}

#[async_trait]
impl UserRemoval for Removal {
    async fn blockers(&self, _: &Tx, _: UserId, _: Option<UserId>) -> Result<Vec<Blocker>> {
        Ok(Vec::new())
    }

    async fn is_used(&self, tx: &Tx, user: UserId) -> Result<bool> {
        Ok(db::scalar(tx, IS_USED, [user.into()]).await?.unwrap_or_default())
    }

    async fn release(&self, tx: &Tx, user: UserId, _: Option<UserId>) -> Result<()> {
        let rooms: Vec<RoomId> = db::scalars(tx, ROOMS, [user.into()]).await?;
        for room in rooms {
            self.leave(tx, room, user).await.map_err(Error::from)?;
        }
        for statement in RELEASE {
            db::execute(&tx.deferred(), statement, [user.into()]).await?;
        }
        Ok(())
    }

    async fn export(&self, conn: &Snapshot, user: UserId) -> Result<(&'static str, Value)> {
        let rooms: Vec<RoomRow> = db::rows(conn, OWN_ROOMS, [user.into()]).await?;
        let room =
            |row: RoomRow| json!({ "id": row.id, "name": row.name, "role": row.role, "joined_at": row.joined_at });
        let messages: Vec<MessageRow> = db::rows(conn, OWN_MESSAGES, [user.into()]).await?;
        let message = |row: MessageRow| {
            let MessageRow { id, room_id, content, created_at } = row;
            json!({ "id": id, "room_id": room_id, "content": content, "timestamp": created_at })
        };
        let data = json!({
            "rooms": rooms.into_iter().map(room).collect::<Vec<_>>(),
            "messages": messages.into_iter().map(message).collect::<Vec<_>>(),
        });
        Ok(("chat", data))
    }
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::assert_user_references;

    use super::*;

    #[test]
    fn every_reference_to_a_user_counts_as_use() {
        let references = assert_user_references(concat!(env!("CARGO_MANIFEST_DIR"), "/src/migrations"), IS_USED);
        assert_eq!(references, 8);
    }
}
