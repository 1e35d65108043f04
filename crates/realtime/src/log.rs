//! The durable log of each stream.

use std::{fmt, sync::Arc};

use guildhall_kernel::{
    Clock, Db, Result, Timestamp, UserId,
    cipher::{KeyRing, Unreadable},
    db::{self, Sql, Tx},
};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Set};

use crate::{About, Frame, Head, LogPage, Seq, StreamName, entity::event, frame::UNREADABLE};

/// How many events are read at a time.
pub(crate) const PAGE: i64 = 100;
/// How many old events one transaction deletes.
const PRUNED_AT_ONCE: i64 = 1000;

/// The epoch of a stream until [`BEGIN`] has set it, in the same transaction.
const NO_EPOCH: i64 = -1;
/// Takes the next number of a stream. Its row stays locked until the transaction ends, so that the events of a stream
/// become visible in the order of their numbers.
const NEXT: &str = "INSERT INTO realtime_stream (name, last_seq, created_at, epoch) VALUES ($1, 1, $2, $3) \
     ON CONFLICT (name) DO UPDATE SET last_seq = realtime_stream.last_seq + 1 RETURNING id, last_seq, epoch";
/// A stream without events that somebody follows has a row, so that its epoch does not change with its first event.
const FOLLOW: &str = "INSERT INTO realtime_stream (name, last_seq, created_at, epoch) VALUES ($1, 0, $2, $3) \
     ON CONFLICT (name) DO NOTHING RETURNING id";
/// A statement of its own: where the previous one has waited for the deletion of a stream of this name, only a later one
/// counts it.
const BEGIN: &str = "UPDATE realtime_stream SET epoch = (SELECT deleted_streams FROM realtime_epoch WHERE id = 1) \
     WHERE id = $1";
const HEAD: &str = "SELECT s.last_seq AS seq, e.epoch + s.epoch AS epoch \
     FROM realtime_stream s JOIN realtime_epoch e ON e.id = 1 WHERE s.name = $1";
const HAS_BEGUN: &str = "SELECT id FROM realtime_stream WHERE name = $1";
/// In one statement, so that the events up to the head are visible, unless they were deleted.
const AFTER: &str = "SELECT s.last_seq AS head, e.seq, e.body, e.key_id, e.removes FROM realtime_stream s \
     LEFT JOIN realtime_event e ON e.stream_id = s.id AND e.seq > $2 WHERE s.name = $1 ORDER BY e.seq LIMIT $3";
/// The known numbers are the members of a JSON object.
const OTHERS: Sql = Sql::per_backend(
    "SELECT known.key AS name, known.value AS known, COALESCE(s.last_seq, 0) AS seq FROM json_each($1) AS known \
     LEFT JOIN realtime_stream s ON s.name = known.key WHERE COALESCE(s.last_seq, 0) <> known.value",
    "SELECT known.key AS name, known.value::bigint AS known, COALESCE(s.last_seq, 0) AS seq \
     FROM json_each_text($1::json) AS known LEFT JOIN realtime_stream s ON s.name = known.key \
     WHERE COALESCE(s.last_seq, 0) <> known.value::bigint",
);
const BEGIN_EPOCH: &str =
    "UPDATE realtime_epoch SET epoch = CASE WHEN epoch < $1 THEN $1 ELSE epoch + 1 END WHERE id = 1";
/// The last number of a stream, which shows subscribers whether they have missed any event, is kept with the stream.
const PRUNE_OLD: &str = "DELETE FROM realtime_event WHERE (stream_id, seq) IN \
     (SELECT stream_id, seq FROM realtime_event WHERE at < $1 ORDER BY at LIMIT $2)";
const PRUNE_MANY: &str = "DELETE FROM realtime_event WHERE (stream_id, seq) IN \
     (SELECT e.stream_id, e.seq FROM realtime_stream s JOIN realtime_event e \
     ON e.stream_id = s.id AND e.seq <= s.last_seq - $1 WHERE s.last_seq > $1 LIMIT $2)";

/// The log of all streams.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    /// The keys that stored events are encrypted with.
    pub(crate) keys: KeyRing,
}

#[derive(FromQueryResult)]
struct NextRow {
    id: i64,
    last_seq: Seq,
    epoch: i64,
}

#[derive(FromQueryResult)]
struct HeadRow {
    seq: Seq,
    epoch: i64,
}

/// A stream whose last number differs from the known one.
#[derive(FromQueryResult)]
struct OtherRow {
    name: String,
    known: Seq,
    seq: Seq,
}

/// What is appended to a stream.
pub(crate) struct NewEvent {
    /// A JSON object.
    pub(crate) body: String,
    /// The user who may not receive any later event of the stream.
    pub(crate) removes: Option<UserId>,
    /// What it is about.
    pub(crate) about: Option<About>,
}

impl NewEvent {
    pub(crate) fn new(body: String) -> Self {
        Self { body, removes: None, about: None }
    }
}

/// What a comparison with the database has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// The stream has further events, up to this number.
    Newer(Seq),
    /// The stream was deleted, and perhaps has started again.
    Deleted,
}

/// The last number of a stream, with an event if there is any.
#[derive(FromQueryResult)]
struct EventRow {
    head: Seq,
    seq: Option<Seq>,
    body: Option<String>,
    key_id: Option<String>,
    removes: Option<UserId>,
}

impl EventRow {
    fn open(self, keys: &KeyRing, stream: &StreamName) -> Option<Arc<Frame>> {
        let Self { head: _, seq, body, key_id, removes } = self;
        let (seq, body) = (seq?, body?);
        let body = keys.open(body, key_id.as_deref(), Place(stream, seq));
        // Missing keys are reported when the server starts, and by `doctor`.
        if body.as_ref().is_err_and(|cause| *cause == Unreadable::Damaged) {
            tracing::error!(%stream, seq, "an encrypted event is damaged, or belongs to another place");
        }
        Some(Frame::new(seq, body.unwrap_or_else(|_| UNREADABLE.to_owned()), removes))
    }
}

/// What an event is encrypted for. Equal to the `context` in `keys.rs`.
struct Place<'a>(&'a StreamName, Seq);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(stream, seq) = self;
        write!(f, "realtime_event.body/{stream}/{seq}")
    }
}

impl Log {
    /// Appends an event in a transaction.
    pub(crate) async fn append(&self, tx: &Tx, stream: &StreamName, event: NewEvent) -> Result<Arc<Frame>> {
        let NewEvent { body, removes, about } = event;
        let at = self.clock.now();
        let next = db::row::<NextRow>(tx, NEXT, [stream.as_str().into(), at.into(), NO_EPOCH.into()]).await?;
        let NextRow { id, last_seq: seq, epoch } = next.ok_or(DbErr::RecordNotInserted)?;
        if epoch == NO_EPOCH {
            db::execute(&tx.deferred(), BEGIN, [id.into()]).await?;
        }
        // In the transaction, because only there its number is known. It takes a few microseconds.
        let sealed = self.keys.seal(body.clone(), Place(stream, seq))?;
        let row = event::ActiveModel {
            stream_id: Set(id),
            seq: Set(seq),
            body: Set(sealed.text),
            key_id: Set(sealed.key_id),
            removes: Set(removes),
            at: Set(at),
            about: Set(about.as_ref().map(|about| about.subject.to_string())),
            about_no: Set(about.map(|about| about.no)),
        };
        db::insert_only(&tx.deferred(), row).await?;
        Ok(Frame::new(seq, body, removes))
    }

    /// The last number and the epoch of a stream; `None` if it has not begun.
    pub(crate) async fn head(&self, conn: &impl ConnectionTrait, stream: &StreamName) -> Result<Option<Head>, DbErr> {
        let row = db::row::<HeadRow>(conn, HEAD, [stream.as_str().into()]).await?;
        Ok(row.map(|row| Head { seq: row.seq, epoch: row.epoch }))
    }

    /// Begins a stream, without an event; returns whether it had not begun before.
    pub(crate) async fn begin(&self, tx: &Tx, stream: &StreamName) -> Result<bool, DbErr> {
        let values = [stream.as_str().into(), self.clock.now().into(), NO_EPOCH.into()];
        let id = db::scalar::<i64>(tx, FOLLOW, values).await?;
        if let Some(id) = id {
            db::execute(tx, BEGIN, [id.into()]).await?;
        }
        Ok(id.is_some())
    }

    /// Whether a stream has ever been followed or had an event.
    pub(crate) async fn has_begun(&self, tx: &Tx, stream: &StreamName) -> Result<bool, DbErr> {
        Ok(db::scalar::<i64>(tx, HAS_BEGUN, [stream.as_str().into()]).await?.is_some())
    }

    /// The events after a number.
    pub(crate) async fn after(&self, stream: &StreamName, seq: Seq) -> Result<LogPage, DbErr> {
        let values = [stream.as_str().into(), seq.into(), PAGE.into()];
        let rows = db::rows::<EventRow>(self.db.conn(), AFTER, values).await?;
        let head = rows.first().map_or(0, |row| row.head);
        let frames = rows.into_iter().filter_map(|row| row.open(&self.keys, stream)).collect();
        Ok(LogPage { frames, head })
    }

    /// Those of these streams whose last number is not the known one.
    pub(crate) async fn compare(&self, known: &[(StreamName, Seq)]) -> Result<Vec<(StreamName, Difference)>, DbErr> {
        let known: serde_json::Map<_, _> =
            known.iter().map(|(stream, seq)| (stream.as_str().to_owned(), (*seq).into())).collect();
        let known = serde_json::Value::Object(known).to_string();
        let rows = db::rows::<OtherRow>(self.db.conn(), OTHERS, [known.into()]).await?;
        // A number is known only after the commit of its event.
        let difference = |row: OtherRow| {
            let found = if row.seq > row.known { Difference::Newer(row.seq) } else { Difference::Deleted };
            Some((row.name.parse().ok()?, found))
        };
        Ok(rows.into_iter().filter_map(difference).collect())
    }

    /// Deletes events from before a time, and of each stream all but this many; returns their number.
    pub(crate) async fn prune(&self, before: Timestamp, kept: u32) -> Result<u64, DbErr> {
        let old = self.delete_batches(PRUNE_OLD, || before.into()).await?;
        Ok(old + self.delete_batches(PRUNE_MANY, || i64::from(kept).into()).await?)
    }

    async fn delete_batches(&self, sql: &'static str, limit: impl Fn() -> sea_orm::Value) -> Result<u64, DbErr> {
        let mut deleted = 0;
        loop {
            let values = || [limit(), PRUNED_AT_ONCE.into()];
            let batch = self.db.write(|tx| async move { db::execute(&tx, sql, values()).await }).await?;
            deleted += batch;
            if batch < PRUNED_AT_ONCE.unsigned_abs() {
                return Ok(deleted);
            }
        }
    }
}

/// Begins a new epoch of all streams: after the database was restored, their numbers have been used for other events
/// before, and clients must not resume from them.
///
/// # Errors
/// Those of the database.
pub async fn begin_epoch(db: &Db, now: Timestamp) -> Result<(), DbErr> {
    db.write(|tx| async move { db::execute(&tx, BEGIN_EPOCH, [now.into()]).await.map(|_| ()) }).await
}
