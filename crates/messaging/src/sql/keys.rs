//! The keys that contents are encrypted with.

use guildhall_kernel::{
    cipher::{KeyUse, Reencrypted, SealedColumn},
    doctor::Finding,
};

use super::SqlMessaging;
use crate::error::Result;

/// The columns with what people have written. `context` is the text of
/// [`MessageContext`](crate::core::content::MessageContext), and for drafts of `draft_context`. That of link previews
/// is in `sql/link_previews.rs`.
const COLUMNS: [SealedColumn; 4] = [
    SealedColumn {
        name: "messaging_message.content",
        next_key: "SELECT key_id FROM messaging_message WHERE key_id > $1 ORDER BY key_id LIMIT 1",
        count: "SELECT COUNT(*) FROM messaging_message WHERE key_id = $1",
        count_plain: "SELECT COUNT(*) FROM messaging_message WHERE key_id IS NULL AND content <> ''",
        outdated: "SELECT id AS major, CAST(0 AS bigint) AS minor, content AS text, key_id, \
            'messaging_message.content/' || conversation_id || '/' || no || '/' || COALESCE(edited_at, created_at) \
            AS context FROM messaging_message WHERE id > $1 AND CAST($2 AS bigint) <= 0 \
            AND key_id IS DISTINCT FROM CAST($3 AS text) AND content <> '' ORDER BY id LIMIT $4",
        replace: "UPDATE messaging_message SET content = $3, key_id = $4 \
            WHERE id = $1 AND CAST($2 AS bigint) = 0 AND content = $5",
    },
    SealedColumn {
        name: "messaging_revision.content",
        next_key: "SELECT key_id FROM messaging_revision WHERE key_id > $1 ORDER BY key_id LIMIT 1",
        count: "SELECT COUNT(*) FROM messaging_revision WHERE key_id = $1",
        count_plain: "SELECT COUNT(*) FROM messaging_revision WHERE key_id IS NULL AND content <> ''",
        outdated: "SELECT r.id AS major, CAST(0 AS bigint) AS minor, r.content AS text, r.key_id, \
            'messaging_message.content/' || m.conversation_id || '/' || m.no || '/' || r.created_at AS context \
            FROM messaging_revision r JOIN messaging_message m ON m.id = r.message_id \
            WHERE r.id > $1 AND CAST($2 AS bigint) <= 0 AND r.key_id IS DISTINCT FROM CAST($3 AS text) \
            AND r.content <> '' ORDER BY r.id LIMIT $4",
        replace: "UPDATE messaging_revision SET content = $3, key_id = $4 \
            WHERE id = $1 AND CAST($2 AS bigint) = 0 AND content = $5",
    },
    SealedColumn {
        name: "messaging_member.draft",
        next_key: "SELECT draft_key_id FROM messaging_member WHERE draft_key_id > $1 ORDER BY draft_key_id LIMIT 1",
        count: "SELECT COUNT(*) FROM messaging_member WHERE draft_key_id = $1",
        count_plain: "SELECT COUNT(*) FROM messaging_member WHERE draft_key_id IS NULL AND draft <> ''",
        outdated: "SELECT conversation_id AS major, user_id AS minor, draft AS text, draft_key_id AS key_id, \
            'messaging_member.draft/' || conversation_id || '/' || user_id AS context FROM messaging_member \
            WHERE (conversation_id, user_id) > ($1, $2) AND draft_key_id IS DISTINCT FROM CAST($3 AS text) \
            AND draft <> '' ORDER BY conversation_id, user_id LIMIT $4",
        replace: "UPDATE messaging_member SET draft = $3, draft_key_id = $4 \
            WHERE conversation_id = $1 AND user_id = $2 AND draft = $5",
    },
    SealedColumn {
        name: "messaging_link_preview.page",
        next_key: "SELECT key_id FROM messaging_link_preview WHERE key_id > $1 ORDER BY key_id LIMIT 1",
        count: "SELECT COUNT(*) FROM messaging_link_preview WHERE key_id = $1",
        count_plain: "SELECT COUNT(*) FROM messaging_link_preview WHERE key_id IS NULL AND page <> ''",
        outdated: "SELECT message_id AS major, CAST(0 AS bigint) AS minor, page AS text, key_id, \
            'messaging_link_preview.page/' || message_id AS context FROM messaging_link_preview \
            WHERE message_id > $1 AND CAST($2 AS bigint) <= 0 AND key_id IS DISTINCT FROM CAST($3 AS text) \
            AND page <> '' ORDER BY message_id LIMIT $4",
        replace: "UPDATE messaging_link_preview SET page = $3, key_id = $4 \
            WHERE message_id = $1 AND CAST($2 AS bigint) = 0 AND page = $5",
    },
];

impl SqlMessaging {
    /// The keys that messages, revisions, drafts and link previews need and the ring does not have: they cannot be
    /// read.
    pub async fn missing_keys(&self) -> Result<Vec<KeyUse>> {
        Ok(self.core.host.keys.missing(self.core.db.conn(), &COLUMNS).await?)
    }

    /// Checks that all messages, revisions, drafts and link previews can be read, and have the current key.
    pub async fn examine_keys(&self) -> Result<Finding> {
        Ok(self.core.host.keys.examine(self.core.db.conn(), "messaging.keys", &COLUMNS).await?)
    }

    /// Gives all messages, revisions, drafts and link previews the current key, or none if encryption is off, while
    /// people go on writing. `progress` is called after each batch, with the name of the column.
    pub async fn reencrypt(&self, progress: impl Fn(&'static str, Reencrypted)) -> Result<Reencrypted> {
        let mut all = Reencrypted::default();
        for column in &COLUMNS {
            let report = |outcome| progress(column.name, outcome);
            all += self.core.host.keys.reencrypt(&self.core.db, column, report).await?;
        }
        Ok(all)
    }
}
