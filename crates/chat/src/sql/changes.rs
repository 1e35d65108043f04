//! Editing and deleting messages.

use std::time::Duration;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, IfMatch, Timestamp,
    db::{self, Tx},
};
use sea_orm::{FromQueryResult, Set};
use serde_json::json;

use super::{
    SqlChat,
    messages::{find_message, normalize},
};
use crate::{
    audit::content_hash,
    core::{
        access::Access,
        frames::{Frame, stream},
        log::{After, RoomLog, search_text},
        messages::MessageRow,
    },
    entity::{message::MessageType, revision, room},
    error::{Error, Result},
    id::{MessageId, RoomId},
    model::{Message, MessagePatch, Revision},
    service::Changes,
};

/// How often a message can be edited.
const MAX_REVISIONS: i64 = 100;

const EDIT: &str =
    "UPDATE chat_message SET content = $2, search_text = $3, edited_at = $4, content_seq = $5 WHERE id = $1";
const ERASE: [&str; 5] = [
    "UPDATE chat_message SET content = '', search_text = '', salt = '', deleted_at = $2 WHERE id = $1",
    "DELETE FROM chat_revision WHERE message_id = $1",
    "DELETE FROM chat_reaction WHERE message_id = $1",
    "DELETE FROM chat_pin WHERE message_id = $1",
    "DELETE FROM chat_file WHERE message_id = $1",
];
const COUNT_REVISIONS: &str = "SELECT COUNT(*) FROM chat_revision WHERE message_id = $1";
const REVISIONS: &str =
    "SELECT seq, content, created_at FROM chat_revision WHERE message_id = $1 ORDER BY seq LIMIT 100";

#[derive(FromQueryResult)]
struct RevisionRow {
    seq: i64,
    content: String,
    created_at: Timestamp,
}

/// Locks an open room, and loads one of its messages that can be changed.
pub(super) async fn load_changeable(
    tx: &Tx,
    caller: &Caller,
    room: RoomId,
    id: MessageId,
) -> Result<(MessageRow, Access)> {
    db::lock::<room::Entity>(tx, room).await?;
    let (row, access) = find_message(tx, caller, room, id).await?;
    let access = access.require_open()?;
    if row.message_type == MessageType::System || row.deleted_at.is_some() {
        return Err(Error::NotChangeable);
    }
    Ok((row, access))
}

impl SqlChat {
    /// Requires that the caller may still change their message.
    fn require_own(&self, caller: &Caller, row: &MessageRow, now: Timestamp) -> Result<()> {
        if row.sender_id != Some(caller.user) {
            return Err(Error::NotSender);
        }
        let window = Duration::from_secs(u64::from(self.core.settings.edit_hours) * 3600);
        if now.since(row.created_at) > window { Err(Error::TooLate) } else { Ok(()) }
    }

    async fn store_edit(
        &self,
        tx: &Tx,
        row: &MessageRow,
        access: &Access,
        content: &str,
        now: Timestamp,
    ) -> Result<()> {
        let revisions = db::scalar::<i64>(tx, COUNT_REVISIONS, [row.id.into()]).await?.unwrap_or_default();
        if revisions >= MAX_REVISIONS {
            return Err(Error::TooLate);
        }
        let revision = revision::ActiveModel {
            message_id: Set(row.id),
            room_id: Set(access.id),
            seq: Set(row.content_seq),
            content: Set(row.content.clone()),
            created_at: Set(row.version()),
        };
        db::insert_only(&tx.deferred(), revision).await?;
        let record = json!({
            "type": "message_edited",
            "message": row.id,
            "content_hash": content_hash(&row.salt, content.as_bytes()),
        });
        let frame = Frame::MessageEdited { message_id: row.id, content, edited_at: now };
        let mut log = RoomLog::new(&self.core, tx, access, now);
        let seq = log.append(row.sender_id, record, &frame, After::MoreAbout(row.id)).await?;
        let terms = search_text(access.id, content);
        let values = [row.id.into(), content.into(), terms.into(), now.into(), seq.into()];
        db::execute(&tx.deferred(), EDIT, values).await?;
        Ok(())
    }
}

#[async_trait]
impl Changes for SqlChat {
    async fn edit(
        &self,
        caller: &Caller,
        room: RoomId,
        id: MessageId,
        patch: MessagePatch,
        known: IfMatch,
    ) -> Result<Message> {
        let patch = MessagePatch { content: normalize(&patch.content) };
        patch.validate()?;
        self.core.limits.count_send(caller.user, room)?;
        let (now, content, known) = (self.core.now(), patch.content.as_str(), &known);
        self.core
            .write(|tx| async move {
                let (row, access) = load_changeable(&tx, caller, room, id).await?;
                self.require_own(caller, &row, now)?;
                if !access.is_own_moderator() && access.muted_until.is_some_and(|end| end > now) {
                    return Err(Error::Muted);
                }
                known.check(row.version())?;
                if row.content == content {
                    return Ok(());
                }
                self.store_edit(&tx, &row, &access, content, now).await
            })
            .await?;
        let (row, _) = find_message(self.core.db.conn(), caller, room, id).await?;
        self.show_message(caller.user, row).await
    }

    async fn delete(&self, caller: &Caller, room: RoomId, id: MessageId) -> Result<()> {
        let now = self.core.now();
        self.core
            .write(|tx| async move {
                let (row, access) = load_changeable(&tx, caller, room, id).await?;
                if !access.is_moderator(caller) {
                    self.require_own(caller, &row, now)?;
                }
                let [erase, rest @ ..] = ERASE;
                db::execute(&tx.deferred(), erase, [id.into(), now.into()]).await?;
                for statement in rest {
                    db::execute(&tx.deferred(), statement, [id.into()]).await?;
                }
                self.core.host.streams.erase(&tx, &stream(room), id.0..=id.0).await?;
                let record = json!({ "type": "message_deleted", "message": id });
                let mut log = RoomLog::new(&self.core, &tx, &access, now);
                let frame = Frame::MessageDeleted { message_id: id };
                log.append(Some(caller.user), record, &frame, After::More).await.map(|_| ())
            })
            .await
    }

    async fn revisions(&self, caller: &Caller, room: RoomId, id: MessageId) -> Result<Vec<Revision>> {
        let conn = self.core.db.conn();
        find_message(conn, caller, room, id).await?;
        let rows = db::rows::<RevisionRow>(conn, REVISIONS, [id.into()]).await?;
        let show = |row: RevisionRow| Revision { seq: row.seq, content: row.content, created_at: row.created_at };
        Ok(rows.into_iter().map(show).collect())
    }
}
