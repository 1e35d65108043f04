//! Erasing the content of stored events.

use std::ops::RangeInclusive;

use guildhall_kernel::db::{self, Tx};
use sea_orm::DbErr;

use super::Streams;
use crate::{StreamName, frame::HIDDEN};

const ERASE: &str = "UPDATE realtime_event SET body = $1, key_id = NULL, about = NULL, about_no = NULL \
     WHERE about = $2 AND about_no BETWEEN $3 AND $4";
const ERASE_IN: &str = "UPDATE realtime_event SET body = $1, key_id = NULL, about = NULL, about_no = NULL \
     WHERE about = $2 AND about_no BETWEEN $3 AND $4 \
     AND stream_id = (SELECT id FROM realtime_stream WHERE name = $5)";

impl Streams {
    /// Erases the content of the stored events [about](Self::append_about) these numbers of a subject, in all streams.
    /// Their own numbers stay: who reads them later gets `{"type": "hidden"}`. To notify clients that already have
    /// them, append another event.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn erase(&self, tx: &Tx, subject: &StreamName, numbers: RangeInclusive<i64>) -> Result<(), DbErr> {
        let (first, last) = numbers.into_inner();
        let values = [HIDDEN.into(), subject.as_str().into(), first.into(), last.into()];
        db::execute(&tx.deferred(), ERASE, values).await.map(|_| ())
    }

    /// Like [`erase`](Self::erase), in one stream only.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn erase_in(
        &self,
        tx: &Tx,
        stream: &StreamName,
        subject: &StreamName,
        numbers: RangeInclusive<i64>,
    ) -> Result<(), DbErr> {
        let (first, last) = numbers.into_inner();
        let values = [HIDDEN.into(), subject.as_str().into(), first.into(), last.into(), stream.as_str().into()];
        db::execute(&tx.deferred(), ERASE_IN, values).await.map(|_| ())
    }
}
