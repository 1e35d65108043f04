//! Sending and reading messages.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use garde::Validate;
use guildhall_files::{self as files, Content, Stored};
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, Person, Timestamp, Window, background,
    db::{self, Sql, Tx},
    idempotency::message_key,
    text,
};
use sea_orm::ConnectionTrait;
use unicode_normalization::UnicodeNormalization;

use super::SqlChat;
use crate::{
    audit::content_hash,
    core::{
        access::Access,
        frames::{Frame, stream},
        log::{Draft, DraftFile, RoomLog, recorded},
        messages::{MessageRow, messages},
        random_hex,
    },
    entity::message::MessageType,
    error::{Error, Result},
    event::MessageSent,
    id::{MessageId, RoomId},
    model::{Message, NewFile, NewMessage, Sent},
    service::Messages,
};

const BEFORE: &str =
    messages!("chat_message m", "m.room_id = $1 AND m.seq > $2 AND m.seq < $3 ORDER BY m.seq DESC LIMIT $4");
const AFTER: &str = messages!("chat_message m", "m.room_id = $1 AND m.seq > $2 AND m.seq > $3 ORDER BY m.seq LIMIT $4");
const BY_ID: &str = messages!("chat_message m", "m.id = $1 AND m.room_id = $2");
/// SQLite would read the whole room if it could use the index of the numbers, which the signs prevent.
const BY_IDS: Sql = Sql::per_backend(
    messages!(
        "chat_message m",
        "+m.room_id = $1 AND +m.seq > $2 AND m.id IN (SELECT value FROM json_each($3)) ORDER BY m.seq"
    ),
    messages!(
        "chat_message m",
        "m.room_id = $1 AND m.seq > $2 AND m.id IN (SELECT value::bigint FROM json_array_elements_text($3::json)) ",
        "ORDER BY m.seq"
    ),
);
/// How many messages can be read by their ids at once.
const MAX_IDS: usize = 100;
const BY_CLIENT_ID: &str = messages!("chat_message m", "m.sender_id = $1 AND m.client_id = $2");
const FIRST_CONTENT: &str = "SELECT content FROM chat_revision WHERE message_id = $1 ORDER BY seq LIMIT 1";
const IS_VISIBLE: &str = "SELECT EXISTS (SELECT 1 FROM chat_message WHERE id = $1 AND room_id = $2 AND seq > $3)";
/// Whoever sends a message has read the room.
const SENT: &str =
    "UPDATE chat_participant SET last_read_no = $3, last_sent_at = $4 WHERE room_id = $1 AND user_id = $2";

/// The canonical form of the content of a message.
pub(super) fn normalize(content: &str) -> String {
    content.nfc().collect()
}

/// A message that was validated.
struct Prepared {
    content: String,
    client_id: Option<String>,
    reply_to: Option<MessageId>,
    salt: String,
    file: Option<PreparedFile>,
}

/// The file of a message.
struct PreparedFile {
    name: String,
    bytes: Bytes,
    /// The stored content, and the hash of the salt and the content; none before it is stored.
    stored: Option<(Stored, String)>,
}

/// Validates a message, whose content has been.
fn prepare(new: NewMessage) -> Result<Prepared> {
    Ok(Prepared {
        content: new.content,
        client_id: message_key(new.client_id, new.key)?,
        reply_to: new.reply_to,
        salt: random_hex()?,
        file: None,
    })
}

/// The message that the caller has sent with this client id before, which may be another one.
async fn find_sent(conn: &impl ConnectionTrait, caller: &Caller, new: &Prepared) -> Result<Option<MessageRow>> {
    let Some(client_id) = &new.client_id else { return Ok(None) };
    Ok(db::row(conn, BY_CLIENT_ID, [caller.user.into(), client_id.as_str().into()]).await?)
}

/// Whether a message with a file has this one.
async fn has_file(conn: &impl ConnectionTrait, row: &MessageRow, file: &PreparedFile) -> Result<bool> {
    let is_size = row.file_size.is_some_and(|size| i64::try_from(file.bytes.len()) == Ok(size));
    if row.file_name.as_ref() != Some(&file.name) || !is_size {
        return Ok(false);
    }
    let expected = recorded(conn, row.room_id, row.seq, "file_hash").await?;
    Ok(expected == Some(file_hash(row.salt.clone(), file.bytes.clone()).await?))
}

/// 409 unless a message that was sent before is the same as a new one. Of a deleted message only the room is known.
async fn require_same(conn: &impl ConnectionTrait, room: RoomId, row: &MessageRow, new: &Prepared) -> Result<()> {
    if row.room_id == room && row.deleted_at.is_some() {
        return Ok(());
    }
    // The content as it was sent.
    let first: Option<String> = match row.edited_at {
        Some(_) => db::scalar(conn, FIRST_CONTENT, [row.id.into()]).await?,
        None => None,
    };
    let is_same = row.room_id == room
        && *first.as_ref().unwrap_or(&row.content) == new.content
        && row.reply_to_id == new.reply_to
        && match &new.file {
            Some(file) => has_file(conn, row, file).await?,
            None => row.file_id.is_none(),
        };
    if is_same { Ok(()) } else { Err(Error::IdempotencyMismatch) }
}

/// 403, 409 or 429 unless the caller may send a message now.
fn require_sendable(access: Access, now: Timestamp) -> Result<Access> {
    let access = access.require_participant()?.require_open()?;
    if access.is_own_moderator() {
        return Ok(access);
    }
    if access.muted_until.is_some_and(|end| end > now) {
        return Err(Error::Muted);
    }
    let pause = Duration::from_secs(access.slow_mode_seconds.unsigned_abs());
    match access.last_sent_at.filter(|_| !pause.is_zero()).map(|sent| sent + pause) {
        Some(next) if next > now => Err(Error::SlowMode(next.since(now))),
        _ => Ok(access),
    }
}

impl SqlChat {
    /// Stores a message, unless one was sent with its client id before.
    async fn store_message(
        &self,
        tx: &Tx,
        caller: &Caller,
        person: &Person,
        room: RoomId,
        new: &Prepared,
    ) -> Result<(MessageRow, bool)> {
        let access = Access::load_for_update(tx, caller.user, room).await?.require_participant()?;
        if let Some(row) = find_sent(tx, caller, new).await? {
            return Ok((row, true));
        }
        // Read under the lock, so that the times of messages are in the order of their numbers.
        let now = self.core.now();
        let access = require_sendable(access, now)?;
        if new.file.is_some() && !access.allow_file_uploads {
            return Err(Error::FilesNotAllowed);
        }
        if let Some(reply_to) = new.reply_to {
            let values = [reply_to.into(), room.into(), access.visible_after().into()];
            if !db::scalar::<bool>(tx, IS_VISIBLE, values).await?.unwrap_or_default() {
                return Err(Error::field("reply_to", "There is no such message in this room."));
            }
        }
        let file = new.file.as_ref().and_then(|file| {
            let (stored, hash) = file.stored.as_ref()?;
            Some(DraftFile { stored, name: &file.name, hash })
        });
        let draft = Draft {
            message_type: if file.is_some() { MessageType::File } else { MessageType::Text },
            sender: Some(person),
            actor: None,
            event: None,
            subject: None,
            content: &new.content,
            salt: &new.salt,
            file,
            reply_to: new.reply_to,
            client_id: new.client_id.as_deref(),
        };
        let mut log = RoomLog::new(&self.core, tx, &access, now);
        let row = log.message(draft).await?;
        db::execute(&tx.deferred(), SENT, [room.into(), caller.user.into(), row.no.into(), now.into()]).await?;
        tx.emit(&MessageSent { room, message: row.id, sender: caller.user }).await?;
        Ok((row, false))
    }

    async fn deliver(&self, caller: &Caller, room: RoomId, new: Prepared) -> Result<Sent> {
        let (person, new) = (&self.core.person(caller.user).await?, &new);
        let store = || self.core.write(|tx| async move { self.store_message(&tx, caller, person, room, new).await });
        let (row, duplicate) = match store().await {
            // A concurrent request with the same client id has stored it.
            Err(error) if new.client_id.is_some() && error.is_duplicate() => store().await?,
            outcome => outcome?,
        };
        if duplicate {
            return self.show_repeated(caller, room, row, new).await;
        }
        if let Some(person) = self.core.activity.end_typing(room, caller.user) {
            self.publish_typing(room, &person, false);
        }
        Ok(Sent { message: self.show_message(caller.user, row).await?, duplicate })
    }

    /// The answer to a message whose client id was used before. 409 if it was for another message.
    async fn show_repeated(&self, caller: &Caller, room: RoomId, row: MessageRow, new: &Prepared) -> Result<Sent> {
        require_same(self.core.db.conn(), room, &row, new).await?;
        Ok(Sent { message: self.show_message(caller.user, row).await?, duplicate: true })
    }

    /// Publishes to the others whether somebody is typing.
    pub(crate) fn publish_typing(&self, room: RoomId, user: &Person, on: bool) {
        self.core.host.streams.publish_transient(&stream(room), &Frame::Typing { user, on }, Some(user.id));
    }

    /// Reads the messages of a room before or after an event.
    async fn read(&self, access: &Access, window: Window, rows: u64) -> Result<Vec<MessageRow>> {
        let (sql, seq) = match window {
            Window::Newest => (BEFORE, i64::MAX),
            Window::Before(seq) => (BEFORE, seq),
            Window::After(seq) => (AFTER, seq),
        };
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let values = [access.id.into(), access.visible_after().into(), seq.into(), rows.into()];
        Ok(db::rows(self.core.db.conn(), sql, values).await?)
    }
}

/// A message that a participant can read, and its room. 404 if there is none.
pub(super) async fn find_message(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    room: RoomId,
    id: MessageId,
) -> Result<(MessageRow, Access)> {
    let access = Access::load(conn, caller.user, room).await?.require_participant()?;
    let row: Option<MessageRow> = db::row(conn, BY_ID, [id.into(), room.into()]).await?;
    let row = row.filter(|row| row.seq > access.visible_after()).ok_or(Error::MessageNotFound(id))?;
    Ok((row, access))
}

/// The hash of a file, on a thread for such work.
async fn file_hash(salt: String, bytes: Bytes) -> Result<String> {
    Ok(background::run(async move { content_hash(&salt, &bytes) }).await?)
}

#[async_trait]
impl Messages for SqlChat {
    async fn send(&self, caller: &Caller, room: RoomId, mut new: NewMessage) -> Result<Sent> {
        new.content = normalize(&new.content);
        new.validate()?;
        let new = prepare(new)?;
        self.core.limits.count_send(caller.user, room)?;
        self.deliver(caller, room, new).await
    }

    async fn send_file(&self, caller: &Caller, room: RoomId, new: NewFile) -> Result<Sent> {
        let NewFile { name, content_type, bytes, mut message } = new;
        message.content = normalize(&message.content);
        if text::is_blank(&message.content) {
            message.content = String::new();
        } else {
            message.validate()?;
        }
        let mut new = prepare(message)?;
        self.core.limits.count_send(caller.user, room)?;
        // Checked before the content is stored, and again in the transaction.
        let conn = self.core.db.conn();
        let access = Access::load(conn, caller.user, room).await?.require_participant()?;
        let (content_type, bytes) = files::single_object(caller.user, content_type, bytes).await?;
        new.file = Some(PreparedFile { name: name.clone(), bytes: bytes.clone(), stored: None });
        if let Some(row) = find_sent(conn, caller, &new).await? {
            return self.show_repeated(caller, room, row, &new).await;
        }
        let access = require_sendable(access, self.core.now())?;
        if !access.allow_file_uploads {
            return Err(Error::FilesNotAllowed);
        }
        let hash = file_hash(new.salt.clone(), bytes.clone()).await?;
        let stored = self.core.host.files.store(caller.user, Content::bytes(content_type, bytes.clone())).await?;
        new.file = Some(PreparedFile { name, bytes, stored: Some((stored, hash)) });
        self.deliver(caller, room, new).await
    }

    async fn messages(&self, caller: &Caller, room: RoomId, cursor: CursorQuery) -> Result<CursorPage<Message>> {
        let access = Access::load(self.core.db.conn(), caller.user, room).await?.require_participant()?;
        let rows = self.read(&access, cursor.window(), cursor.rows()).await?;
        let (rows, page) = CursorPage::from_rows(rows, |row: &MessageRow| row.seq, &cursor).split();
        Ok(page.with_results(self.show_messages(caller.user, rows).await?))
    }

    async fn messages_around(&self, caller: &Caller, room: RoomId, seq: i64, limit: u64) -> Result<Vec<Message>> {
        let access = Access::load(self.core.db.conn(), caller.user, room).await?.require_participant()?;
        let half = limit.clamp(1, 100).div_ceil(2);
        let mut rows = self.read(&access, Window::After(seq), half).await?;
        rows.reverse();
        rows.extend(self.read(&access, Window::Before(seq.saturating_add(1)), half).await?);
        self.show_messages(caller.user, rows).await
    }

    async fn messages_by_id(&self, caller: &Caller, room: RoomId, ids: Vec<MessageId>) -> Result<Vec<Message>> {
        let conn = self.core.db.conn();
        let access = Access::load(conn, caller.user, room).await?.require_participant()?;
        let ids = db::id_list(ids.into_iter().take(MAX_IDS).map(|id| id.0));
        let rows = db::rows(conn, BY_IDS, [room.into(), access.visible_after().into(), ids]).await?;
        self.show_messages(caller.user, rows).await
    }

    async fn message(&self, caller: &Caller, room: RoomId, id: MessageId) -> Result<Message> {
        let (row, _) = find_message(self.core.db.conn(), caller, room, id).await?;
        self.show_message(caller.user, row).await
    }
}
