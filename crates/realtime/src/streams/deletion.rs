//! Deleting streams.

use guildhall_kernel::db::{self, Sql, Tx};
use sea_orm::DbErr;

use super::Streams;
use crate::{Notice, StreamName, frame::HIDDEN};

const DELETE: Sql = Sql::per_backend(
    "DELETE FROM realtime_stream WHERE name IN (SELECT value FROM json_each($1))",
    "DELETE FROM realtime_stream WHERE name IN (SELECT json_array_elements_text($1::json))",
);
const ERASE_ABOUT: Sql = Sql::per_backend(
    "UPDATE realtime_event SET body = $2, key_id = NULL, about = NULL, about_no = NULL \
     WHERE about IN (SELECT value FROM json_each($1))",
    "UPDATE realtime_event SET body = $2, key_id = NULL, about = NULL, about_no = NULL \
     WHERE about IN (SELECT json_array_elements_text($1::json))",
);
const COUNT_DELETED: &str = "UPDATE realtime_epoch SET deleted_streams = deleted_streams + 1 WHERE id = 1";

impl Streams {
    /// Deletes streams with their events, and erases the content of all events of other streams that are
    /// [about](Self::append_about) their subjects. Their subscriptions end after the commit. A stream of the same name
    /// that begins later has another epoch.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete(&self, tx: &Tx, streams: impl IntoIterator<Item = StreamName>) -> Result<(), DbErr> {
        let streams: Vec<StreamName> = streams.into_iter().collect();
        if streams.is_empty() {
            return Ok(());
        }
        let names: serde_json::Value = streams.iter().map(StreamName::as_str).collect();
        let names = names.to_string();
        db::execute(&tx.deferred(), ERASE_ABOUT, [names.as_str().into(), HIDDEN.into()]).await?;
        if db::execute(tx, DELETE, [names.into()]).await? > 0 {
            db::execute(&tx.deferred(), COUNT_DELETED, []).await?;
        }
        let handle = self.clone();
        tx.after_commit(move || {
            for stream in streams {
                handle.0.hub.end(&stream);
                handle.0.bus.send(Notice::Deleted { stream });
            }
        });
        Ok(())
    }
}
