//! What happens to a user's messages and groups when their account is removed.

use std::sync::Arc;

use async_trait::async_trait;
use guildhall_kernel::{
    Blocker, Error, Result, Timestamp, UserId, UserRemoval,
    cipher::KeyRing,
    db::{self, Snapshot, Tx},
};
use sea_orm::FromQueryResult;
use serde_json::{Value, json};

use crate::{
    core::{
        Core,
        content::{self, MessageContext},
        frames::stream,
    },
    id::{ConversationId, MessageId},
    sql::{Extras, SqlMessaging, release_groups, unsent_attachments},
};

/// Deletes the personal rows of a user, and leaves their side of messages empty.
const RELEASE: [&str; 8] = [
    "DELETE FROM messaging_attachment WHERE uploader_id = $1",
    "DELETE FROM messaging_block WHERE blocker_id = $1",
    "DELETE FROM messaging_block WHERE blocked_id = $1",
    "DELETE FROM messaging_reaction WHERE user_id = $1",
    "DELETE FROM messaging_hidden WHERE user_id = $1",
    "DELETE FROM messaging_settings WHERE user_id = $1",
    "UPDATE messaging_message SET sender_id = NULL, client_id = NULL WHERE sender_id = $1",
    "UPDATE messaging_message SET receiver_id = NULL WHERE receiver_id = $1",
];
/// Deletes the direct conversations that nobody is left to read.
const DELETE_EMPTY: [&str; 2] = [
    "DELETE FROM messaging_conversation WHERE pair_low = $1 AND pair_high IS NULL RETURNING id",
    "DELETE FROM messaging_conversation WHERE pair_high = $1 AND pair_low IS NULL RETURNING id",
];
/// Leaves the user's side of the other conversations empty.
const LEAVE: [&str; 3] = [
    "UPDATE messaging_conversation SET pair_low = NULL, member_count = member_count - 1 WHERE pair_low = $1",
    "UPDATE messaging_conversation SET pair_high = NULL, member_count = member_count - 1 WHERE pair_high = $1",
    "DELETE FROM messaging_member WHERE user_id = $1",
];

/// Whether any row of this crate references the user. A test compares it with the foreign keys.
const IS_USED: &str = "SELECT \
    EXISTS (SELECT 1 FROM messaging_member WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM messaging_message WHERE sender_id = $1) \
    OR EXISTS (SELECT 1 FROM messaging_message WHERE receiver_id = $1) \
    OR EXISTS (SELECT 1 FROM messaging_conversation WHERE owner_id = $1) \
    OR EXISTS (SELECT 1 FROM messaging_conversation WHERE pair_low = $1) \
    OR EXISTS (SELECT 1 FROM messaging_conversation WHERE pair_high = $1) \
    OR EXISTS (SELECT 1 FROM messaging_reaction WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM messaging_hidden WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM messaging_attachment WHERE uploader_id = $1) \
    OR EXISTS (SELECT 1 FROM messaging_block WHERE blocker_id = $1) \
    OR EXISTS (SELECT 1 FROM messaging_block WHERE blocked_id = $1) \
    OR EXISTS (SELECT 1 FROM messaging_settings WHERE user_id = $1)";

const OWN_MESSAGES: &str = "SELECT id, conversation_id, no, receiver_id, content, key_id, created_at, edited_at \
    FROM messaging_message WHERE sender_id = $1 AND NOT is_system AND deleted_at IS NULL ORDER BY id DESC LIMIT 1000";
const OWN_GROUPS: &str = "SELECT c.id, c.name, a.joined_at FROM messaging_member a JOIN messaging_conversation c \
    ON c.id = a.conversation_id WHERE a.user_id = $1 AND a.state = 'active' AND c.kind = 'group' LIMIT 1000";
const OWN_BLOCKS: &str = "SELECT blocked_id FROM messaging_block WHERE blocker_id = $1 ORDER BY id LIMIT 1000";

#[derive(FromQueryResult)]
struct MessageRow {
    id: MessageId,
    conversation_id: ConversationId,
    no: i64,
    receiver_id: Option<UserId>,
    content: String,
    key_id: Option<String>,
    created_at: Timestamp,
    edited_at: Option<Timestamp>,
}

impl MessageRow {
    /// The content; `None` if it cannot be read.
    fn open(self, keys: &KeyRing) -> Option<String> {
        let written_at = self.edited_at.unwrap_or(self.created_at);
        let context = MessageContext { conversation: self.conversation_id, no: self.no, written_at };
        content::open(keys, self.content, self.key_id.as_deref(), context).ok()
    }
}

#[derive(FromQueryResult)]
struct GroupRow {
    id: ConversationId,
    name: String,
    joined_at: Timestamp,
}

/// Leaves the user's side of direct conversations empty, which keep their messages, and lets the longest-standing
/// member own each of the user's groups. The stream of the user is left to `guildhall_realtime::Removal`.
#[derive(Clone)]
pub struct Removal {
    core: Arc<Core>,
}

impl Removal {
    /// The handler for these services.
    pub fn new(messaging: &SqlMessaging) -> Self {
        Self { core: messaging.core.clone() }
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

    async fn release(&self, tx: &Tx, user: UserId, successor: Option<UserId>) -> Result<()> {
        release_groups(&self.core, tx, user, successor).await.map_err(Error::from)?;
        for statement in RELEASE {
            db::execute(&tx.deferred(), statement, [user.into()]).await?;
        }
        for statement in DELETE_EMPTY {
            let deleted: Vec<ConversationId> = db::scalars(tx, statement, [user.into()]).await?;
            self.core.host.streams.delete(tx, deleted.into_iter().map(stream)).await?;
        }
        for statement in LEAVE {
            db::execute(&tx.deferred(), statement, [user.into()]).await?;
        }
        Ok(())
    }

    async fn export(&self, conn: &Snapshot, user: UserId) -> Result<(&'static str, Value)> {
        let messages: Vec<MessageRow> = db::rows(conn, OWN_MESSAGES, [user.into()]).await?;
        let ids = messages.iter().map(|row| row.id);
        let mut extras = Extras::load(&self.core, conn, ids, user).await.map_err(Error::from)?;
        let uploads = unsent_attachments(&self.core, conn, user).await.map_err(Error::from)?;
        let message = |row: MessageRow| {
            let (attachments, link_preview) = extras.take(row.id);
            json!({
                "id": row.id, "conversation_id": row.conversation_id, "receiver_id": row.receiver_id,
                "timestamp": row.created_at, "content": row.open(&self.core.host.keys),
                "attachments": attachments, "link_preview": link_preview,
            })
        };
        let groups: Vec<GroupRow> = db::rows(conn, OWN_GROUPS, [user.into()]).await?;
        let group = |row: GroupRow| json!({ "id": row.id, "name": row.name, "joined_at": row.joined_at });
        let blocked: Vec<UserId> = db::scalars(conn, OWN_BLOCKS, [user.into()]).await?;
        let data = json!({
            "messages": messages.into_iter().map(message).collect::<Vec<_>>(),
            "uploads": uploads,
            "groups": groups.into_iter().map(group).collect::<Vec<_>>(),
            "blocked": blocked,
        });
        Ok(("messaging", data))
    }
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::assert_user_references;

    use super::*;

    #[test]
    fn every_reference_to_a_user_counts_as_use() {
        let references = assert_user_references(concat!(env!("CARGO_MANIFEST_DIR"), "/src/migrations"), IS_USED);
        assert_eq!(references, 12);
    }
}
