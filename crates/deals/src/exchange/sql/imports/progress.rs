//! The progress of an import, by which the processes that work on it notice each other.

use std::time::Duration;

use guildhall_kernel::{Timestamp, db};
use sea_orm::ConnectionTrait;

use crate::{ImportId, Result};

/// An import without progress for this long has lost its process: a chunk takes a second at most.
pub(super) const STALLED: Duration = Duration::from_secs(60);
/// Adds to the progress of an import that is running or being reverted, and was not changed since it was read.
const ADVANCE: &str = "UPDATE deals_import SET created = created + $1, updated = updated + $2, updated_at = $3 \
     WHERE id = $4 AND updated_at = $5 AND (status = 'running' OR kept = -1)";

/// Stores the progress of an import, in the transaction that stores or deletes its rows. Returns `false` if another
/// process has changed the import since it was read.
pub(super) async fn advance(
    conn: &impl ConnectionTrait,
    id: ImportId,
    previous: Timestamp,
    now: Timestamp,
    (created, updated): (i64, i64),
) -> Result<bool> {
    let values = [created.into(), updated.into(), now.into(), id.into(), previous.into()];
    Ok(db::execute(conn, ADVANCE, values).await? > 0)
}
