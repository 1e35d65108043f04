//! Streams that begin when somebody follows them for the first time.

use guildhall_kernel::{Error, Result, db::Tx};
use sea_orm::DbErr;

use super::Streams;
use crate::StreamName;

impl Streams {
    /// Whether a stream has ever been followed or had an event. Where events of streams that nobody has followed are of
    /// no use, it shows whether to append.
    pub async fn has_begun(&self, tx: &Tx, stream: &StreamName) -> Result<bool, DbErr> {
        self.0.log.has_begun(tx, stream).await
    }

    /// Begins a stream, with the first event that its handler wants, unless it has begun meanwhile. Returns its epoch.
    pub(super) async fn begin(&self, stream: &StreamName) -> Result<i64> {
        let first = self.0.handlers.get(stream).and_then(|handler| handler.first_event());
        let (log, first) = (&self.0.log, first.as_ref());
        let begin = |tx| async move {
            if log.begin(&tx, stream).await?
                && let Some(event) = first
            {
                self.append(&tx, stream, event).await?;
            }
            Ok::<_, Error>(log.head(&tx, stream).await?.ok_or(DbErr::RecordNotInserted)?.epoch)
        };
        log.db.write(begin).await
    }
}
