//! One writer, many commits for the price of one.
//!
//! SQLite has one writer at a time, and a durable commit waits for the disk. So the writers stand
//! in a fair queue; each does its work in a savepoint of one shared transaction, and whoever is
//! through waits for the commit of that transaction. The commit itself stands in the same queue:
//! it takes its place behind those who are waiting already, so that they share it, and ahead of
//! whoever comes later. Alone, a writer commits at once; under load a commit carries the whole queue.

use std::sync::Arc;

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, oneshot};

pub(super) struct GroupCommit {
    queue: Arc<Mutex<Batch>>,
    due: Arc<Notify>,
    committer: tokio::task::JoinHandle<()>,
}

/// What is written but not yet committed.
struct Batch {
    connection: DatabaseConnection,
    /// The shared transaction, once somebody has begun to write.
    shared: Option<DatabaseTransaction>,
    /// Those whose work is in it, waiting to hear that it is stored.
    waiting: Vec<oneshot::Sender<Result<(), DbErr>>>,
}

impl Batch {
    async fn begin(&mut self) -> Result<DatabaseTransaction, DbErr> {
        if self.shared.is_none() {
            // IMMEDIATE: a transaction that begins by reading cannot be upgraded while another
            // process writes; it would fail at once instead of waiting.
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..Default::default()
            };
            self.shared = Some(self.connection.begin_with_options(options).await?);
        }
        let Some(shared) = &self.shared else {
            return Err(lost());
        };
        let savepoint = shared.begin().await;
        if savepoint.is_err() {
            self.abandon();
        }
        savepoint
    }

    async fn commit(&mut self) {
        let Some(shared) = self.shared.take() else {
            return;
        };
        // If this is dropped half way, the transaction is rolled back and those who wait are told
        // by their channel's end: nobody hears of a success that was none.
        let waiting = std::mem::take(&mut self.waiting);
        let outcome = shared.commit().await;
        for one in waiting {
            let _ = one.send(outcome.clone());
        }
    }

    /// Rolls back the whole batch, after the connection has failed in a way that leaves open
    /// what is in it.
    fn abandon(&mut self) {
        self.waiting.clear();
        self.shared = None;
    }
}

fn lost() -> DbErr {
    DbErr::Custom("the shared transaction was rolled back".to_owned())
}

impl GroupCommit {
    pub(super) fn new(connection: DatabaseConnection) -> Self {
        let queue = Arc::new(Mutex::new(Batch { connection, shared: None, waiting: Vec::new() }));
        let due = Arc::new(Notify::new());
        let committer = tokio::spawn({
            let (queue, due) = (queue.clone(), due.clone());
            async move {
                loop {
                    due.notified().await;
                    queue.lock().await.commit().await;
                }
            }
        });
        Self { queue, due, committer }
    }

    /// Waits for this writer's turn.
    pub(super) async fn turn(&self) -> Turn {
        Turn { batch: self.queue.clone().lock_owned().await, due: self.due.clone() }
    }

    /// Commits what is pending and closes the connection.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        let mut batch = self.queue.lock().await;
        batch.commit().await;
        batch.connection.close_by_ref().await
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        self.committer.abort();
    }
}

/// The right to write, for the length of one act.
pub(super) struct Turn {
    batch: OwnedMutexGuard<Batch>,
    due: Arc<Notify>,
}

impl Turn {
    /// Opens this writer's part of the shared transaction. Dropping it takes back only that part.
    pub(super) async fn begin(&mut self) -> Result<DatabaseTransaction, DbErr> {
        self.batch.begin().await
    }

    /// Closes this writer's part, lets the next one write, and waits until both are stored.
    pub(super) async fn commit(mut self, part: DatabaseTransaction) -> Result<(), DbErr> {
        if let Err(error) = part.commit().await {
            self.batch.abandon();
            return Err(error);
        }
        let (stored, wait) = oneshot::channel();
        self.batch.waiting.push(stored);
        drop(self);
        wait.await.unwrap_or_else(|_| Err(lost()))
    }
}

impl Drop for Turn {
    /// Also after an act that failed: others may wait for the commit, and an open transaction
    /// keeps other processes out.
    fn drop(&mut self) {
        self.due.notify_one();
    }
}
