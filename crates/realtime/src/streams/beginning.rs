//! Streams that begin when somebody follows them for the first time.

use guildhall_kernel::{Result, db::Tx};
use sea_orm::DbErr;
use serde_json::Value;

use super::Streams;
use crate::{Head, StreamName};

impl Streams {
    /// Whether a stream has ever had an event. Where events of streams that nobody has followed are of no use, see
    /// [`StreamHandler::first_event`](crate::StreamHandler::first_event), it tells whether to append.
    pub async fn has_begun(&self, tx: &Tx, stream: &StreamName) -> Result<bool, DbErr> {
        self.0.log.has_begun(tx, stream).await
    }

    /// Appends the first event to a stream that has none, if its handler wants one.
    pub(super) async fn begin(&self, stream: &StreamName, head: Head) -> Result<()> {
        if head.seq > 0 {
            return Ok(());
        }
        let Some(event) = self.0.handlers.get(stream).and_then(|handler| handler.first_event()) else { return Ok(()) };
        let event: &Value = &event;
        self.0.log.db.write(|tx| async move { self.append(&tx, stream, event).await }).await?;
        Ok(())
    }
}
