//! Sending and reading messages.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use garde::Validate;
use guildhall_files::{Content, Stored};
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, Person, Timestamp, Window, background,
    db::{self, Tx},
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
        log::{Draft, DraftFile, RoomLog},
        messages::{MessageRow, messages},
        random_hex,
    },
    entity::message::MessageType,
    error::{Error, Result},
    event::MessageSent,
    id::{MessageId, RoomId},
    model::{Message, NewFile, NewMessage, Sent, is_client_id, is_key},
    service::Messages,
};

const BEFORE: &str =
    messages!("chat_message m", "m.room_id = $1 AND m.seq > $2 AND m.seq < $3 ORDER BY m.seq DESC LIMIT $4");
const AFTER: &str = messages!("chat_message m", "m.room_id = $1 AND m.seq > $2 AND m.seq > $3 ORDER BY m.seq LIMIT $4");
const BY_ID: &str = messages!("chat_message m", "m.id = $1 AND m.room_id = $2");
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

/// A file whose content is stored.
struct PreparedFile {
    stored: Stored,
    name: String,
    hash: String,
}

/// Validates a message, whose content has been.
fn prepare(new: NewMessage) -> Result<Prepared> {
    if new.client_id.as_ref().is_some_and(|id| !is_client_id(id)) {
        return Err(Error::field("client_id", "Use 1 to 64 letters, digits, _ or -."));
    }
    if new.key.as_ref().is_some_and(|key| !is_key(key)) {
        return Err(Error::field("Idempotency-Key", "Use 1 to 255 printable ASCII characters."));
    }
    Ok(Prepared {
        content: new.content,
        client_id: new.client_id.or(new.key),
        reply_to: new.reply_to,
        salt: random_hex()?,
        file: None,
    })
}

/// The message that the caller has sent with this client id before. 409 if it was another one.
async fn find_repeated(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    room: RoomId,
    new: &Prepared,
    file_name: Option<&str>,
) -> Result<Option<MessageRow>> {
    let Some(client_id) = &new.client_id else { return Ok(None) };
    let values = [caller.user.into(), client_id.as_str().into()];
    let Some(row) = db::row::<MessageRow>(conn, BY_CLIENT_ID, values).await? else { return Ok(None) };
    // The content as it was sent, which a deleted message no longer has.
    let first: Option<String> = match row.edited_at {
        Some(_) => db::scalar(conn, FIRST_CONTENT, [row.id.into()]).await?,
        None => None,
    };
    let is_same_content = *first.as_ref().unwrap_or(&row.content) == new.content;
    let is_same = row.deleted_at.is_some() || (is_same_content && row.file_name.as_deref() == file_name);
    if row.room_id == room && is_same { Ok(Some(row)) } else { Err(Error::IdempotencyMismatch) }
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
    /// Stores a message, unless it was sent before.
    async fn store_message(
        &self,
        tx: &Tx,
        caller: &Caller,
        person: &Person,
        room: RoomId,
        new: &Prepared,
    ) -> Result<(MessageRow, bool)> {
        let file = new.file.as_ref();
        if let Some(row) = find_repeated(tx, caller, room, new, file.map(|file| file.name.as_str())).await? {
            return Ok((row, true));
        }
        let access = Access::load_for_update(tx, caller.user, room).await?;
        // Read under the lock, so that the times of messages are in the order of their numbers.
        let now = self.core.now();
        let access = require_sendable(access, now)?;
        if file.is_some() && !access.allow_file_uploads {
            return Err(Error::FilesNotAllowed);
        }
        if let Some(reply_to) = new.reply_to {
            let values = [reply_to.into(), room.into(), access.visible_after().into()];
            if !db::scalar::<bool>(tx, IS_VISIBLE, values).await?.unwrap_or_default() {
                return Err(Error::field("reply_to", "There is no such message in this room."));
            }
        }
        let draft = Draft {
            message_type: if file.is_some() { MessageType::File } else { MessageType::Text },
            sender: Some(person),
            actor: None,
            event: None,
            subject: None,
            content: &new.content,
            salt: &new.salt,
            file: file.map(|file| DraftFile { stored: &file.stored, name: &file.name, hash: &file.hash }),
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
        if let Some(person) = self.core.activity.end_typing(room, caller.user) {
            self.publish_typing(room, &person, false);
        }
        Ok(Sent { message: self.show_message(caller.user, row).await?, duplicate })
    }

    /// Tells the others whether somebody is typing.
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
        if let Some(row) = find_repeated(conn, caller, room, &new, Some(&name)).await? {
            return Ok(Sent { message: self.show_message(caller.user, row).await?, duplicate: true });
        }
        let access = require_sendable(Access::load(conn, caller.user, room).await?, self.core.now())?;
        if !access.allow_file_uploads {
            return Err(Error::FilesNotAllowed);
        }
        let hash = file_hash(new.salt.clone(), bytes.clone()).await?;
        let stored = self.core.host.files.store(caller.user, Content::bytes(content_type, bytes)).await?;
        new.file = Some(PreparedFile { stored, name, hash });
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

    async fn message(&self, caller: &Caller, room: RoomId, id: MessageId) -> Result<Message> {
        let (row, _) = find_message(self.core.db.conn(), caller, room, id).await?;
        self.show_message(caller.user, row).await
    }
}
