//! Messages as the caller sees them.

use std::collections::{BTreeMap, HashMap};

use guildhall_kernel::{
    Timestamp, UserId,
    db::{self, Sql},
};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{
    core::{id_list, receipts::ReadState},
    error::{Error, Result},
    id::{ConversationId, MessageId},
    model::Message,
};

/// A query for the columns of [`MessageRow`], in parts.
macro_rules! messages {
    ($($rest:literal),+) => {
        concat!(
            "SELECT m.id, m.conversation_id, m.no, m.sender_id, m.receiver_id, t.name AS message_type, m.content, ",
            "m.is_system, m.reply_to_id, m.client_id, m.created_at, m.edited_at, m.deleted_at ",
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

const REACTIONS: Sql = Sql::per_backend(
    "SELECT message_id, emoji, COUNT(*) AS count, MAX(CASE WHEN user_id = $2 THEN 1 ELSE 0 END) AS is_mine \
     FROM messaging_reaction WHERE message_id IN (SELECT value FROM json_each($1)) GROUP BY message_id, emoji",
    "SELECT message_id, emoji, COUNT(*) AS count, CAST(MAX(CASE WHEN user_id = $2 THEN 1 ELSE 0 END) AS bigint) \
     AS is_mine FROM messaging_reaction \
     WHERE message_id IN (SELECT value::bigint FROM json_array_elements_text($1::json)) GROUP BY message_id, emoji",
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
    pub(crate) content: String,
    pub(crate) is_system: bool,
    pub(crate) reply_to_id: Option<MessageId>,
    pub(crate) client_id: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) edited_at: Option<Timestamp>,
    pub(crate) deleted_at: Option<Timestamp>,
}

#[derive(FromQueryResult)]
struct ReactionRow {
    message_id: MessageId,
    emoji: String,
    count: i64,
    is_mine: i64,
}

/// The reactions to a message, and the viewer's own.
type Reactions = (BTreeMap<String, i64>, Vec<String>);

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
        let ids = id_list(ids.into_iter().map(|id| id.0));
        let rows: Vec<Self> = db::rows(conn, BY_IDS, [ids]).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// When the content was written.
    pub(crate) fn version(&self) -> Timestamp {
        self.deleted_at.or(self.edited_at).unwrap_or(self.created_at)
    }

    /// The message in an event, which is the same for everybody.
    pub(crate) fn for_everybody(self) -> Message {
        self.show(false, BTreeMap::new(), None)
    }

    /// The message without its reactions.
    pub(crate) fn without_reactions(self, viewer: UserId, read: ReadState) -> Message {
        let is_read = self.is_read(viewer, read);
        self.show(is_read, BTreeMap::new(), Some(Vec::new()))
    }

    fn is_read(&self, viewer: UserId, read: ReadState) -> bool {
        match (self.sender_id == Some(viewer), self.receiver_id) {
            (true, Some(_)) => self.no <= read.other,
            (true, None) => true,
            (false, _) => self.no <= read.own,
        }
    }

    fn show(self, is_read: bool, reactions: BTreeMap<String, i64>, my_reactions: Option<Vec<String>>) -> Message {
        Message {
            id: self.id,
            conversation_id: self.conversation_id,
            no: self.no,
            content: self.content,
            sender_id: self.sender_id,
            receiver_id: self.receiver_id,
            timestamp: self.created_at,
            is_read,
            message_type: self.message_type,
            client_id: self.client_id,
            is_system: self.is_system,
            reply_to: self.reply_to_id,
            edited_at: self.edited_at,
            is_deleted: self.deleted_at.is_some(),
            reactions,
            my_reactions,
        }
    }
}

/// Messages as a user sees them, in the same order; `read` is the state of their conversations.
pub(crate) async fn show_messages(
    conn: &impl ConnectionTrait,
    rows: Vec<MessageRow>,
    viewer: UserId,
    read: impl Fn(ConversationId) -> ReadState,
) -> Result<Vec<Message>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = id_list(rows.iter().map(|row| row.id.0));
    let mut reactions: HashMap<MessageId, Reactions> = HashMap::new();
    for row in db::rows::<ReactionRow>(conn, REACTIONS, [ids, viewer.into()]).await? {
        let (counts, own) = reactions.entry(row.message_id).or_default();
        if row.is_mine == 1 {
            own.push(row.emoji.clone());
        }
        counts.insert(row.emoji, row.count);
    }
    let show = |row: MessageRow| {
        let (counts, mut own) = reactions.remove(&row.id).unwrap_or_default();
        own.sort();
        let is_read = row.is_read(viewer, read(row.conversation_id));
        row.show(is_read, counts, Some(own))
    };
    Ok(rows.into_iter().map(show).collect())
}
