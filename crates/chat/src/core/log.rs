//! The log of a room: every event takes the next number, and goes to the stream and into the chain of hashes.

use std::collections::HashMap;

use guildhall_files::Stored;
use guildhall_kernel::{
    Error as KernelError, Person, Timestamp, UserId,
    db::{self, Tx},
    search::{ScopeTerm, scoped_terms},
};
use guildhall_realtime::About;
use sea_orm::{ActiveValue::NotSet, ConnectionTrait, Set};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Core, access::Access, frames::stream, messages::MessageRow, random_hex};
use crate::{
    audit::{canonical, chain, content_hash},
    entity::{event, file, message, message::MessageType},
    error::Result,
    id::{MessageId, RoomId},
};

const RECORD: &str = "SELECT record FROM chat_event WHERE room_id = $1 AND seq = $2";
const ADVANCE: &str = "UPDATE chat_room SET last_seq = $2, last_no = $3, last_hash = $4 WHERE id = $1";

/// The scope of the messages of a room in the full-text index.
pub(crate) fn room_scope(room: RoomId) -> ScopeTerm {
    ScopeTerm::new('r', room.0)
}

/// The terms of a message for the full-text index.
pub(crate) fn search_text(room: RoomId, content: &str) -> String {
    scoped_terms([room_scope(room)], content)
}

/// A text of the record of an event, if it has one of that name.
pub(crate) async fn recorded(
    conn: &impl ConnectionTrait,
    room: RoomId,
    seq: i64,
    name: &str,
) -> Result<Option<String>> {
    let record: Option<String> = db::scalar(conn, RECORD, [room.into(), seq.into()]).await?;
    let Some(record) = record else { return Ok(None) };
    let record: Value = serde_json::from_str(&record).map_err(KernelError::internal)?;
    Ok(record.get(name).and_then(Value::as_str).map(str::to_owned))
}

/// What follows an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Further events.
    More,
    /// Further events; what this one contains of a message is erased if the message is deleted.
    MoreAbout(MessageId),
    /// Further events, but none for this user.
    Without(UserId),
    /// Nothing: the room is closed.
    Nothing,
}

/// A message to be stored.
pub(crate) struct Draft<'a> {
    pub(crate) message_type: MessageType,
    pub(crate) sender: Option<&'a Person>,
    /// Who has caused a message of the server.
    pub(crate) actor: Option<UserId>,
    pub(crate) event: Option<&'static str>,
    pub(crate) subject: Option<&'a Person>,
    pub(crate) content: &'a str,
    pub(crate) salt: &'a str,
    pub(crate) file: Option<DraftFile<'a>>,
    pub(crate) reply_to: Option<MessageId>,
    pub(crate) client_id: Option<&'a str>,
}

/// The file of a message to be stored.
#[derive(Clone, Copy)]
pub(crate) struct DraftFile<'a> {
    pub(crate) stored: &'a Stored,
    pub(crate) name: &'a str,
    /// The hash of the salt and the content of the file.
    pub(crate) hash: &'a str,
}

/// The log of a room whose row is locked by a transaction.
pub(crate) struct RoomLog<'a> {
    core: &'a Core,
    tx: &'a Tx,
    room: RoomId,
    seq: i64,
    no: i64,
    hash: String,
    now: Timestamp,
}

impl<'a> RoomLog<'a> {
    /// The log of a room. `access` was loaded after the room was locked.
    pub(crate) fn new(core: &'a Core, tx: &'a Tx, access: &Access, now: Timestamp) -> Self {
        let (room, seq, no, hash) = (access.id, access.last_seq, access.last_no, access.last_hash.clone());
        Self { core, tx, room, seq, no, hash, now }
    }

    /// The number of the last event.
    pub(crate) fn last_seq(&self) -> i64 {
        self.seq
    }

    /// The number of the last message.
    pub(crate) fn last_no(&self) -> i64 {
        self.no
    }

    /// Appends an event. `record` says for the chain what has happened: a JSON object with a `type`.
    pub(crate) async fn append(
        &mut self,
        actor: Option<UserId>,
        mut record: Value,
        frame: &(impl Serialize + Sync),
        after: After,
    ) -> Result<i64> {
        self.seq += 1;
        if let Some(members) = record.as_object_mut() {
            members.insert("room".to_owned(), json!(self.room));
            members.insert("seq".to_owned(), json!(self.seq));
            members.insert("at".to_owned(), json!(self.now));
            members.insert("actor".to_owned(), json!(actor));
        }
        let record = canonical(&record);
        self.hash = chain(&self.hash, &record);
        let values = [self.room.into(), self.seq.into(), self.no.into(), self.hash.as_str().into()];
        db::execute(&self.tx.deferred(), ADVANCE, values).await?;
        let row = event::ActiveModel {
            room_id: Set(self.room),
            seq: Set(self.seq),
            record: Set(record),
            hash: Set(self.hash.clone()),
        };
        db::insert_only(&self.tx.deferred(), row).await?;
        let (streams, stream) = (&self.core.host.streams, stream(self.room));
        let seq = match after {
            After::More => streams.append(self.tx, &stream, frame).await?,
            After::MoreAbout(message) => {
                let about = About { subject: stream.clone(), no: message.0 };
                streams.append_about(self.tx, &stream, frame, about).await?
            }
            After::Without(user) => streams.append_removal(self.tx, &stream, frame, user).await?,
            After::Nothing => streams.append_closing(self.tx, &stream, frame).await?,
        };
        if seq != self.seq {
            let message = format!("room {} is at event {}, and its stream at {seq}", self.room, self.seq);
            return Err(KernelError::internal(message).into());
        }
        Ok(seq)
    }

    /// Stores a message of a user, and appends it.
    pub(crate) async fn message(&mut self, draft: Draft<'_>) -> Result<MessageRow> {
        self.store(draft, None).await
    }

    /// Stores a message, and appends it.
    async fn store(&mut self, draft: Draft<'_>, after: Option<After>) -> Result<MessageRow> {
        self.no += 1;
        let sender = draft.sender.map(|sender| sender.id);
        let subject = draft.subject.map(|subject| subject.id);
        let is_system = draft.message_type == MessageType::System;
        let search_text = if is_system { String::new() } else { search_text(self.room, draft.content) };
        let row = message::ActiveModel {
            id: NotSet,
            room_id: Set(self.room),
            seq: Set(self.seq + 1),
            no: Set(self.no),
            message_type: Set(draft.message_type),
            sender_id: Set(sender),
            event: Set(draft.event.map(str::to_owned)),
            subject_id: Set(subject),
            content: Set(draft.content.to_owned()),
            content_seq: Set(self.seq + 1),
            salt: Set(draft.salt.to_owned()),
            search_text: Set(search_text),
            reply_to_id: Set(draft.reply_to),
            client_id: Set(draft.client_id.map(str::to_owned)),
            created_at: Set(self.now),
            edited_at: Set(None),
            deleted_at: Set(None),
        };
        let row = db::insert(self.tx, row).await?;
        let mut row = MessageRow {
            id: row.id,
            room_id: row.room_id,
            seq: row.seq,
            no: row.no,
            message_type: row.message_type,
            sender_id: row.sender_id,
            event: row.event,
            subject_id: row.subject_id,
            content: row.content,
            content_seq: row.content_seq,
            salt: row.salt,
            reply_to_id: row.reply_to_id,
            client_id: row.client_id,
            created_at: row.created_at,
            edited_at: None,
            deleted_at: None,
            file_id: None,
            file_name: None,
            file_type: None,
            file_size: None,
            pinned_at: None,
        };
        let mut record = json!({
            "type": "message",
            "message": row.id,
            "message_type": row.message_type,
            "content_hash": content_hash(draft.salt, draft.content.as_bytes()),
        });
        if let Some(event) = draft.event {
            record["event"] = json!(event);
            record["user"] = json!(subject);
        }
        if let Some(draft) = draft.file {
            record["file_hash"] = json!(draft.hash);
            self.attach(&mut row, draft).await?;
        }
        let people: HashMap<UserId, Person> =
            draft.sender.into_iter().chain(draft.subject).map(|person| (person.id, person.clone())).collect();
        let message = row.clone().show(&people, |_, _| self.core.file_url(self.room, row.id));
        let after = after.unwrap_or(After::MoreAbout(row.id));
        self.append(draft.actor.or(sender), record, &message, after).await?;
        Ok(row)
    }

    /// Makes stored content the file of a message.
    async fn attach(&self, row: &mut MessageRow, draft: DraftFile<'_>) -> Result<()> {
        let file_id = self.core.host.files.attach(self.tx, draft.stored).await?;
        let (content_type, size) = (draft.stored.content_type().to_owned(), draft.stored.size());
        let model = file::ActiveModel {
            message_id: Set(row.id),
            file_id: Set(file_id),
            name: Set(draft.name.to_owned()),
            content_type: Set(content_type.clone()),
            size: Set(size),
        };
        db::insert_only(&self.tx.deferred(), model).await?;
        row.file_id = Some(file_id);
        row.file_name = Some(draft.name.to_owned());
        row.file_type = Some(content_type);
        row.file_size = Some(size);
        Ok(())
    }

    /// Stores a message of the server about a user, that `actor` has caused.
    pub(crate) async fn system(
        &mut self,
        event: &'static str,
        (actor, subject): (Option<UserId>, Option<&Person>),
        content: &str,
        after: After,
    ) -> Result<()> {
        let salt = random_hex()?;
        let draft = Draft {
            message_type: MessageType::System,
            sender: None,
            actor,
            event: Some(event),
            subject,
            content,
            salt: &salt,
            file: None,
            reply_to: None,
            client_id: None,
        };
        self.store(draft, Some(after)).await.map(|_| ())
    }
}
