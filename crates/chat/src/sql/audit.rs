//! The chain of hashes, and the export of a room.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Error as KernelError, db};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::SqlChat;
use crate::{
    audit::{ExportEvent, ExportHeader, FORMAT},
    core::access::Access,
    error::{Error, Result},
    id::RoomId,
    model::{Audit, AuditEvent, AuditRange, ExportPart},
    service::Audits,
};

/// How many hashes are returned at a time.
const MAX_AUDITED: i64 = 1000;
/// How many events a part of an export contains.
const PART: i64 = 200;

const EVENTS: &str = "SELECT seq, record, hash FROM chat_event WHERE room_id = $1 AND seq >= $2 AND seq <= $3 \
    ORDER BY seq LIMIT $4";
const HASH_AT: &str = "SELECT hash FROM chat_event WHERE room_id = $1 AND seq = $2";
/// With the content that was written with an event: the one of the message, or the one before an edit.
const EXPORTED: &str = "SELECT e.seq, e.record, e.hash, CASE WHEN c.deleted_at IS NULL THEN c.content END AS content, \
    c.salt, v.content AS revision, o.salt AS revision_salt FROM chat_event e \
    LEFT JOIN chat_message c ON c.room_id = e.room_id AND c.content_seq = e.seq \
    LEFT JOIN chat_revision v ON v.room_id = e.room_id AND v.seq = e.seq \
    LEFT JOIN chat_message o ON o.id = v.message_id \
    WHERE e.room_id = $1 AND e.seq > $2 AND e.seq <= $3 ORDER BY e.seq LIMIT $4";

#[derive(FromQueryResult)]
struct EventRow {
    seq: i64,
    record: String,
    hash: String,
}

#[derive(FromQueryResult)]
struct ExportRow {
    seq: i64,
    record: String,
    hash: String,
    content: Option<String>,
    salt: Option<String>,
    revision: Option<String>,
    revision_salt: Option<String>,
}

impl TryFrom<ExportRow> for ExportEvent {
    type Error = KernelError;

    fn try_from(row: ExportRow) -> Result<Self, KernelError> {
        let record = serde_json::from_str(&row.record).map_err(KernelError::internal)?;
        let with_salt = |content: Option<String>, salt: Option<String>| content.zip(salt);
        let written = with_salt(row.content, row.salt).or(with_salt(row.revision, row.revision_salt));
        let (content, salt) = written.unzip();
        Ok(Self { seq: row.seq, hash: row.hash, record, content, salt })
    }
}

async fn hash_at(conn: &impl ConnectionTrait, room: RoomId, seq: i64) -> Result<String> {
    Ok(db::scalar(conn, HASH_AT, [room.into(), seq.into()]).await?.unwrap_or_default())
}

#[async_trait]
impl Audits for SqlChat {
    async fn audit(&self, caller: &Caller, room: RoomId, range: AuditRange) -> Result<Audit> {
        let conn = self.core.db.conn();
        let access = Access::load(conn, caller.user, room).await?;
        if !access.is_participant() && !caller.roles.is_staff() {
            return Err(Error::NotParticipant);
        }
        let from = range.from.unwrap_or(1);
        if from < 1 {
            return Err(Error::field("from", "Must be a positive number."));
        }
        let to = range.to.unwrap_or(access.last_seq);
        if to < from && range.to.is_some() {
            return Err(Error::field("to", "Must not be before from."));
        }
        let hidden = if access.is_participant() { access.visible_after() } else { 0 };
        let values = [room.into(), from.max(hidden + 1).into(), to.into(), MAX_AUDITED.into()];
        let rows: Vec<EventRow> = db::rows(conn, EVENTS, values).await?;
        let show = |row: EventRow| AuditEvent { seq: row.seq, record: row.record, hash: row.hash };
        Ok(Audit {
            room_id: room,
            last_seq: access.last_seq,
            last_hash: access.last_hash,
            events: rows.into_iter().map(show).collect(),
        })
    }

    async fn export(&self, caller: &Caller, room: RoomId, after: i64, end: Option<i64>) -> Result<ExportPart> {
        let conn = self.core.db.conn();
        let access = Access::load(conn, caller.user, room).await?.require_host(caller)?;
        let end = end.unwrap_or(access.last_seq);
        let header = ExportHeader {
            format: FORMAT.to_owned(),
            room_id: room,
            name: access.name.clone(),
            last_seq: end,
            last_hash: hash_at(conn, room, end).await?,
            exported_at: self.core.now(),
        };
        let values = [room.into(), after.into(), end.into(), PART.into()];
        let rows: Vec<ExportRow> = db::rows(conn, EXPORTED, values).await?;
        let events = rows.into_iter().map(ExportEvent::try_from).collect::<Result<_, _>>()?;
        Ok(ExportPart { header, events })
    }
}
