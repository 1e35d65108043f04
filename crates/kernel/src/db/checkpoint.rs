//! Checkpoints of the write-ahead log.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    Connection as _, Executor,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};
use tokio::sync::{Mutex, Notify};

use super::options::connect;

/// How often the write-ahead log is copied into the database file.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// Copies the write-ahead log into the database file in the background, so that no commit has to. A commit still does
/// if the log has become large (`wal_autocheckpoint`).
pub(super) struct Checkpointer {
    stop: Arc<Notify>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Checkpointer {
    pub(super) fn start(options: SqliteConnectOptions, has_committed: Arc<AtomicBool>) -> Self {
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut connection = None;
            loop {
                tokio::select! {
                    () = stopped.notified() => break,
                    () = tokio::time::sleep(CHECKPOINT_INTERVAL) => {}
                }
                if !has_committed.swap(false, Ordering::Relaxed) {
                    continue;
                }
                if let Err(error) = checkpoint(&mut connection, &options).await {
                    tracing::warn!(%error, "the write-ahead log could not be copied into the database file");
                    connection = None;
                }
            }
            if let Some(connection) = connection {
                // A connection that fails to close is broken already.
                let _ = connection.close().await;
            }
        });
        Self { stop, task: Mutex::new(Some(task)) }
    }

    /// Waits for a running checkpoint, and closes the connection.
    pub(super) async fn stop(&self) {
        self.stop.notify_one();
        if let Some(task) = self.task.lock().await.take() {
            // It cannot be cancelled, and a panic is no reason not to close.
            let _ = task.await;
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

async fn checkpoint(
    connection: &mut Option<SqliteConnection>,
    options: &SqliteConnectOptions,
) -> Result<(), sqlx::Error> {
    let connection = match connection {
        Some(connection) => connection,
        empty => empty.insert(connect(options).await?),
    };
    // Passive: it copies what no reader needs any more and waits for nobody.
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").await.map(drop)
}
