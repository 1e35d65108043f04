//! The deletion of old notifications.

use std::time::Duration;

use async_trait::async_trait;
use guildhall_kernel::{Timestamp, db, job::Job};

use crate::{Result, core::Core};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long notifications are kept after they were read.
const READ_DAYS: u32 = 90;
/// How long all notifications are kept.
const ALL_DAYS: u32 = 365;
/// How long delivered notifications are kept in the queue, to recognize repeated events.
const QUEUE_DAYS: u32 = 7;
/// How many rows are deleted in one transaction.
const BATCH: i64 = 1000;

const DELETE_READ: &str = "DELETE FROM notifications_notification WHERE id IN \
     (SELECT id FROM notifications_notification WHERE read_at < $1 ORDER BY read_at LIMIT $2)";
const DELETE_OLD: &str = "DELETE FROM notifications_notification WHERE id IN \
     (SELECT id FROM notifications_notification WHERE updated_at < $1 ORDER BY updated_at LIMIT $2)";
const DELETE_DELIVERED: &str = "DELETE FROM notifications_queue WHERE id IN \
     (SELECT id FROM notifications_queue WHERE next_at IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2)";

/// Deletes notifications 90 days after they were read, and all after a year.
#[derive(Clone)]
pub struct Retention {
    pub(crate) core: Core,
}

impl Retention {
    /// Deletes what is too old, and returns the number of deleted notifications.
    pub async fn delete_old(&self) -> Result<u64> {
        let now = self.core.now();
        let read = self.delete(DELETE_READ, now - DAY * READ_DAYS).await?;
        let old = self.delete(DELETE_OLD, now - DAY * ALL_DAYS).await?;
        self.delete(DELETE_DELIVERED, now - DAY * QUEUE_DAYS).await?;
        Ok(read + old)
    }

    async fn delete(&self, statement: &'static str, before: Timestamp) -> Result<u64> {
        let mut deleted = 0;
        loop {
            let values = || [before.into(), BATCH.into()];
            let batch = self.core.db.write(|tx| async move { db::execute(&tx, statement, values()).await }).await?;
            deleted += batch;
            if batch < BATCH.unsigned_abs() {
                return Ok(deleted);
            }
        }
    }
}

#[async_trait]
impl Job for Retention {
    fn name(&self) -> &'static str {
        "notifications.retention"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> guildhall_kernel::Result<()> {
        let deleted = self.delete_old().await?;
        if deleted > 0 {
            tracing::info!(deleted, "deleted old notifications");
        }
        Ok(())
    }
}
