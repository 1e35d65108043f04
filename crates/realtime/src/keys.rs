//! The keys that stored events are encrypted with.

use guildhall_kernel::{
    Result,
    cipher::{KeyUse, Reencrypted, SealedColumn},
    doctor::Finding,
};

use crate::Streams;

const BODIES: SealedColumn = SealedColumn {
    name: "realtime_event.body",
    next_key: "SELECT key_id FROM realtime_event WHERE key_id > $1 ORDER BY key_id LIMIT 1",
    count: "SELECT COUNT(*) FROM realtime_event WHERE key_id = $1",
    count_plain: r#"SELECT COUNT(*) FROM realtime_event WHERE key_id IS NULL AND body <> '{"type":"hidden"}'"#,
    outdated: "SELECT e.stream_id AS major, e.seq AS minor, e.body AS text, e.key_id, \
        'realtime_event.body/' || s.name || '/' || e.seq AS context FROM realtime_event e \
        JOIN realtime_stream s ON s.id = e.stream_id WHERE (e.stream_id, e.seq) > ($1, $2) \
        AND e.key_id IS DISTINCT FROM CAST($3 AS text) ORDER BY e.stream_id, e.seq LIMIT $4",
    replace: "UPDATE realtime_event SET body = $3, key_id = $4 WHERE stream_id = $1 AND seq = $2 AND body = $5",
};

impl Streams {
    /// The keys that stored events need and the ring does not have: they cannot be read.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn missing_keys(&self) -> Result<Vec<KeyUse>> {
        let log = self.log();
        Ok(log.keys.missing(log.db.conn(), &[BODIES]).await?)
    }

    /// Checks that all stored events can be read, and have the current key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn examine_keys(&self) -> Result<Finding> {
        let log = self.log();
        Ok(log.keys.examine(log.db.conn(), "realtime.keys", &[BODIES]).await?)
    }

    /// Gives all stored events the current key, or none if encryption is off, while others are appended. `progress` is
    /// called after each batch, with the name of the column.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reencrypt(&self, progress: impl Fn(&'static str, Reencrypted)) -> Result<Reencrypted> {
        let log = self.log();
        log.keys.reencrypt(&log.db, &BODIES, |outcome| progress(BODIES.name, outcome)).await
    }
}
