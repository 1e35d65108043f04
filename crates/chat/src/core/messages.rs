//! Messages as they are stored, with what is shown of them.

use std::collections::{BTreeMap, HashMap};

use guildhall_files::FileId;
use guildhall_kernel::{Person, Timestamp, UserId};
use sea_orm::FromQueryResult;

use crate::{
    entity::message::MessageType,
    id::{MessageId, RoomId},
    model::{Message, MessageFile},
};

/// A query for the columns of [`MessageRow`], in parts: the tables with `m` for the messages, and the condition.
macro_rules! messages {
    ($tables:literal, $($rest:literal),+) => {
        concat!(
            "SELECT m.id, m.room_id, m.seq, m.no, m.message_type, m.sender_id, m.event, m.subject_id, m.content, ",
            "m.content_seq, m.salt, m.reply_to_id, m.client_id, m.created_at, m.edited_at, m.deleted_at, f.file_id, ",
            "f.name AS file_name, f.content_type AS file_type, f.size AS file_size, i.created_at AS pinned_at FROM ",
            $tables,
            " LEFT JOIN chat_file f ON f.message_id = m.id LEFT JOIN chat_pin i ON i.message_id = m.id WHERE ",
            $($rest),+
        )
    };
}
pub(crate) use messages;

/// A message with its file.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct MessageRow {
    pub(crate) id: MessageId,
    pub(crate) room_id: RoomId,
    pub(crate) seq: i64,
    pub(crate) no: i64,
    pub(crate) message_type: MessageType,
    pub(crate) sender_id: Option<UserId>,
    pub(crate) event: Option<String>,
    pub(crate) subject_id: Option<UserId>,
    pub(crate) content: String,
    pub(crate) content_seq: i64,
    pub(crate) salt: String,
    pub(crate) reply_to_id: Option<MessageId>,
    pub(crate) client_id: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) edited_at: Option<Timestamp>,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) file_id: Option<FileId>,
    pub(crate) file_name: Option<String>,
    pub(crate) file_type: Option<String>,
    pub(crate) file_size: Option<i64>,
    pub(crate) pinned_at: Option<Timestamp>,
}

impl MessageRow {
    /// When the content was written.
    pub(crate) fn version(&self) -> Timestamp {
        self.deleted_at.or(self.edited_at).unwrap_or(self.created_at)
    }

    /// The users that it names.
    pub(crate) fn users(&self) -> impl Iterator<Item = UserId> + use<> {
        self.sender_id.into_iter().chain(self.subject_id)
    }

    /// The message without its number and reactions. `url` is the address of its file.
    pub(crate) fn show(self, people: &HashMap<UserId, Person>, url: impl FnOnce(FileId, &str) -> String) -> Message {
        let person = |user: Option<UserId>| user.and_then(|user| people.get(&user)).cloned();
        let file = self.file_id.map(|id| {
            let name = self.file_name.unwrap_or_default();
            let (size, content_type) = (self.file_size.unwrap_or_default(), self.file_type.unwrap_or_default());
            MessageFile { url: url(id, &name), name, size, content_type }
        });
        Message {
            kind: "message",
            id: self.id,
            room_id: self.room_id,
            seq: None,
            no: self.no,
            message_type: self.message_type,
            sender: person(self.sender_id),
            event: self.event,
            user: person(self.subject_id),
            content: self.content,
            file,
            timestamp: self.created_at,
            client_id: self.client_id,
            reply_to: self.reply_to_id,
            edited_at: self.edited_at,
            is_deleted: self.deleted_at.is_some(),
            is_pinned: self.pinned_at.is_some(),
            reactions: BTreeMap::new(),
            my_reactions: None,
        }
    }
}
