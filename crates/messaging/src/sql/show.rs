//! Messages as the caller sees them.

use std::collections::{BTreeMap, HashMap, HashSet};

use guildhall_kernel::{
    Timestamp, UserId,
    cipher::{KeyRing, Unreadable},
    db::{self, Sql},
};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::SqlMessaging;
use crate::{
    core::{
        content::{self, MessageContext},
        receipts::ReadState,
    },
    error::{Error, Result},
    id::{ConversationId, MessageId},
    model::{Message, Revision},
};

/// A query for the columns of [`MessageRow`], in parts.
macro_rules! messages {
    ($($rest:literal),+) => {
        concat!(
            "SELECT m.id, m.conversation_id, m.no, m.sender_id, m.receiver_id, t.name AS message_type, m.content, ",
            "m.key_id, m.is_system, m.reply_to_id, m.client_id, m.created_at, m.edited_at, m.deleted_at ",
            $($rest),+
        )
    };
}
pub(crate) use messages;

const BY_ID: &str =
    messages!("FROM messaging_message m JOIN messaging_message_type t ON t.id = m.type_id WHERE m.id = $1");
const BY_IDS: Sql = Sql::per_backend(
    messages!(
        "FROM messaging_message m JOIN messaging_message_type t ON t.id = m.type_id ",
        "WHERE m.id IN (SELECT value FROM json_each($1))"
    ),
    messages!(
        "FROM messaging_message m JOIN messaging_message_type t ON t.id = m.type_id ",
        "WHERE m.id IN (SELECT value::bigint FROM json_array_elements_text($1::json))"
    ),
);

/// SQLite would read the whole conversation if it could use the index of the numbers, which the signs prevent.
const VISIBLE: Sql = Sql::per_backend(
    "SELECT m.id FROM messaging_message m JOIN messaging_member a ON a.conversation_id = $3 AND a.user_id = $2 \
     WHERE m.id IN (SELECT value FROM json_each($1)) AND +m.conversation_id = $3 AND +m.no > a.cleared_no \
     AND m.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM messaging_hidden h WHERE h.user_id = $2 \
     AND h.message_id = m.id)",
    "SELECT m.id FROM messaging_message m JOIN messaging_member a ON a.conversation_id = $3 AND a.user_id = $2 \
     WHERE m.id IN (SELECT value::bigint FROM json_array_elements_text($1::json)) AND m.conversation_id = $3 \
     AND m.no > a.cleared_no AND m.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM messaging_hidden h \
     WHERE h.user_id = $2 AND h.message_id = m.id)",
);

/// A message with the name of its type.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct MessageRow {
    pub(crate) id: MessageId,
    pub(crate) conversation_id: ConversationId,
    pub(crate) no: i64,
    pub(crate) sender_id: Option<UserId>,
    pub(crate) receiver_id: Option<UserId>,
    pub(crate) message_type: String,
    /// The content as it is stored; as it was written if there is no key.
    pub(crate) content: String,
    pub(crate) key_id: Option<String>,
    pub(crate) is_system: bool,
    pub(crate) reply_to_id: Option<MessageId>,
    pub(crate) client_id: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) edited_at: Option<Timestamp>,
    pub(crate) deleted_at: Option<Timestamp>,
}

/// The content of a message before it was edited.
#[derive(FromQueryResult)]
pub(crate) struct RevisionRow {
    content: String,
    key_id: Option<String>,
    created_at: Timestamp,
}

impl MessageRow {
    /// A message. 404 if there is none.
    pub(crate) async fn load(conn: &impl ConnectionTrait, id: MessageId) -> Result<Self> {
        db::row(conn, BY_ID, [id.into()]).await?.ok_or(Error::MessageNotFound(id))
    }

    /// Messages by id.
    pub(crate) async fn all(
        conn: &impl ConnectionTrait,
        ids: impl IntoIterator<Item = MessageId>,
    ) -> Result<HashMap<MessageId, Self>> {
        let ids = db::id_list(ids.into_iter().map(|id| id.0));
        let rows: Vec<Self> = db::rows(conn, BY_IDS, [ids]).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// When the content was written.
    pub(crate) fn version(&self) -> Timestamp {
        self.deleted_at.or(self.edited_at).unwrap_or(self.created_at)
    }

    /// What the content is encrypted for.
    pub(crate) fn context(&self) -> MessageContext {
        let written_at = self.edited_at.unwrap_or(self.created_at);
        MessageContext { conversation: self.conversation_id, no: self.no, written_at }
    }

    /// The content as it was written.
    pub(crate) fn open(&self, keys: &KeyRing) -> Result<String, Unreadable> {
        content::open(keys, self.content.clone(), self.key_id.as_deref(), self.context())
    }

    /// The message in an event, which is the same for everybody.
    pub(crate) fn for_everybody(self, keys: &KeyRing) -> Message {
        self.show(keys, false, BTreeMap::new(), None)
    }

    /// The message without its reactions.
    pub(crate) fn without_reactions(self, keys: &KeyRing, viewer: UserId, read: ReadState) -> Message {
        let is_read = self.is_read(viewer, read);
        self.show(keys, is_read, BTreeMap::new(), Some(Vec::new()))
    }

    /// Whether a viewer has read the message, or the other person has read the viewer's.
    pub(super) fn is_read(&self, viewer: UserId, read: ReadState) -> bool {
        match (self.sender_id == Some(viewer), self.receiver_id) {
            (true, Some(_)) => self.no <= read.other,
            (true, None) => true,
            (false, _) => self.no <= read.own,
        }
    }

    /// The message with its reactions, as a viewer sees it.
    pub(super) fn show(
        self,
        keys: &KeyRing,
        is_read: bool,
        reactions: BTreeMap<String, i64>,
        my_reactions: Option<Vec<String>>,
    ) -> Message {
        let context = self.context();
        let content = content::open(keys, self.content, self.key_id.as_deref(), context);
        Message {
            id: self.id,
            conversation_id: self.conversation_id,
            no: self.no,
            is_unreadable: content.is_err(),
            content: content.unwrap_or_default(),
            sender_id: self.sender_id,
            receiver_id: self.receiver_id,
            timestamp: self.created_at,
            is_read,
            message_type: self.message_type,
            client_id: self.client_id,
            is_system: self.is_system,
            reply_to: self.reply_to_id,
            attachments: Vec::new(),
            link_preview: None,
            edited_at: self.edited_at,
            is_deleted: self.deleted_at.is_some(),
            reactions,
            my_reactions,
        }
    }
}

impl RevisionRow {
    /// The content of this revision of `message`.
    pub(crate) fn open(self, keys: &KeyRing, message: &MessageRow) -> Result<String, Unreadable> {
        let context = MessageContext { written_at: self.created_at, ..message.context() };
        content::open(keys, self.content, self.key_id.as_deref(), context)
    }

    /// This revision of `message` as its readers see it.
    pub(crate) fn show(self, keys: &KeyRing, message: &MessageRow) -> Revision {
        let created_at = self.created_at;
        let content = self.open(keys, message);
        Revision { is_unreadable: content.is_err(), content: content.unwrap_or_default(), created_at }
    }
}

impl SqlMessaging {
    /// Those of these messages of a conversation that were not deleted, neither for everybody nor for this member.
    pub(crate) async fn visible(
        &self,
        user: UserId,
        conversation: ConversationId,
        messages: impl IntoIterator<Item = MessageId>,
    ) -> Result<HashSet<MessageId>> {
        let messages = db::id_list(messages.into_iter().map(|id| id.0));
        let visible = db::scalars(self.core.db.conn(), VISIBLE, [messages, user.into(), conversation.into()]).await?;
        Ok(visible.into_iter().collect())
    }
}
