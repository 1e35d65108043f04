//! The durable log of each stream.

use std::sync::Arc;

use guildhall_kernel::{
    Clock, Db, Timestamp, UserId,
    db::{self, Sql, Tx},
};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Set};

use crate::{
    Frame, Head, LogPage, Seq, StreamName,
    entity::{event, stream},
};

/// How many events are read at a time.
pub(crate) const PAGE: i64 = 100;
/// How many old events one transaction deletes.
const PRUNED_AT_ONCE: i64 = 1000;

/// Takes the next number of a stream. Its row stays locked until the transaction ends, so that the events of a stream
/// become visible in the order of their numbers.
const NEXT: &str = "INSERT INTO realtime_stream (name, last_seq, epoch, created_at) VALUES ($1, 1, $2, $2) \
     ON CONFLICT (name) DO UPDATE SET last_seq = realtime_stream.last_seq + 1 RETURNING id, last_seq";
const HEAD: &str = "SELECT last_seq AS seq, epoch FROM realtime_stream WHERE name = $1";
const AFTER: &str = "SELECT e.seq, e.body, e.removes FROM realtime_event e \
     JOIN realtime_stream s ON s.id = e.stream_id WHERE s.name = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3";
const BEGIN_EPOCH: &str = "UPDATE realtime_stream SET epoch = $1";
/// The last event of each stream is kept: its number shows subscribers whether they have missed any.
const PRUNE_OLD: Sql = Sql::new(
    "DELETE FROM realtime_event WHERE (stream_id, seq) IN (SELECT e.stream_id, e.seq FROM realtime_event e \
     JOIN realtime_stream s ON s.id = e.stream_id WHERE e.at < $1 AND e.seq < s.last_seq ORDER BY e.at LIMIT $2)",
);

/// The log of all streams.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
}

#[derive(FromQueryResult)]
struct NextRow {
    id: i64,
    last_seq: Seq,
}

#[derive(FromQueryResult)]
struct HeadRow {
    seq: Seq,
    epoch: i64,
}

#[derive(FromQueryResult)]
struct EventRow {
    seq: Seq,
    body: String,
    removes: Option<UserId>,
}

impl Log {
    /// Appends an event in a transaction.
    pub(crate) async fn append(
        &self,
        tx: &Tx,
        stream: &StreamName,
        body: String,
        removes: Option<UserId>,
    ) -> Result<Arc<Frame>, DbErr> {
        let at = self.clock.now();
        let next = db::row::<NextRow>(tx, NEXT, [stream.as_str().into(), at.into()]).await?;
        let NextRow { id, last_seq: seq } = next.ok_or(DbErr::RecordNotInserted)?;
        let row = event::ActiveModel {
            stream_id: Set(id),
            seq: Set(seq),
            body: Set(body.clone()),
            removes: Set(removes),
            at: Set(at),
        };
        db::insert_only(&tx.deferred(), row).await?;
        Ok(Frame::new(seq, body, removes))
    }

    /// The last number and the epoch of a stream; those of an empty one if there is none.
    pub(crate) async fn head(&self, stream: &StreamName) -> Result<Head, DbErr> {
        let row = db::row::<HeadRow>(self.db.conn(), HEAD, [stream.as_str().into()]).await?;
        Ok(row.map(|row| Head { seq: row.seq, epoch: row.epoch }).unwrap_or_default())
    }

    /// The events after a number.
    pub(crate) async fn after(&self, stream: &StreamName, seq: Seq) -> Result<LogPage, DbErr> {
        // The head is read first: the events up to it are visible in the second statement, unless they were deleted.
        let head = self.head(stream).await?.seq;
        let values = [stream.as_str().into(), seq.into(), PAGE.into()];
        let rows = db::rows::<EventRow>(self.db.conn(), AFTER, values).await?;
        let frames = rows.into_iter().map(|row| Frame::new(row.seq, row.body, row.removes)).collect();
        Ok(LogPage { frames, head })
    }

    /// Deletes events from before a time, but not the last one of a stream; returns their number.
    pub(crate) async fn prune(&self, before: Timestamp) -> Result<u64, DbErr> {
        let mut deleted = 0;
        loop {
            let values = || [before.into(), PRUNED_AT_ONCE.into()];
            let batch = self.db.write(|tx| async move { db::execute(&tx, PRUNE_OLD, values()).await }).await?;
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

/// The numbers of several streams, for those that somebody follows.
pub(crate) async fn heads(
    conn: &impl ConnectionTrait,
    streams: &[(StreamName, Seq)],
) -> Result<Vec<(StreamName, Seq)>, DbErr> {
    let names = streams.iter().map(|(name, _)| name.as_str());
    let rows: Vec<(String, Seq)> = stream::Entity::find()
        .select_only()
        .columns([stream::Column::Name, stream::Column::LastSeq])
        .filter(stream::COLUMN.name.is_in(names))
        .into_tuple()
        .all(conn)
        .await?;
    Ok(rows.into_iter().filter_map(|(name, seq)| Some((name.parse().ok()?, seq))).collect())
}
