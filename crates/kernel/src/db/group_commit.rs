//! One writer, many commits for the price of one.
//!
//! SQLite has one writer at a time, and a durable commit waits for the disk. So the writers stand
//! in a fair queue; each does its work in a savepoint of one shared transaction, and whoever is
//! through waits for the commit of that transaction. The commit itself stands in the same queue:
//! it takes its place behind those who are waiting already, so that they share it, and ahead of
//! whoever comes later. Alone, a writer commits at once; under load a commit carries the whole queue.

use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, oneshot};

pub(super) struct GroupCommit {
    queue: Arc<Mutex<Batch>>,
    due: Arc<Notify>,
    committer: tokio::task::JoinHandle<()>,
}

/// What is written but not yet committed.
///
/// The parts are savepoints set in plain SQL. sqlx's own nested transactions keep a depth that a
/// request dropped at the wrong moment unbalances, and then a rollback of one part takes all.
struct Batch {
    connection: DatabaseConnection,
    /// The shared transaction, once somebody has begun to write.
    shared: Option<Arc<DatabaseTransaction>>,
    /// A part was begun and neither kept nor taken back: its writer failed, or is gone.
    unfinished: bool,
    /// Those whose work is in it, waiting to hear that it is stored.
    waiting: Vec<oneshot::Sender<Result<(), DbErr>>>,
}

impl Batch {
    async fn begin(&mut self) -> Result<Arc<DatabaseTransaction>, DbErr> {
        self.take_back_unfinished().await;
        let shared = if let Some(shared) = &self.shared {
            shared.clone()
        } else {
            // IMMEDIATE: a transaction that begins by reading cannot be upgraded while another
            // process writes; it would fail at once instead of waiting.
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..Default::default()
            };
            let shared = Arc::new(self.connection.begin_with_options(options).await?);
            self.shared.insert(shared).clone()
        };
        self.unfinished = true;
        shared.execute_unprepared("SAVEPOINT part").await?;
        Ok(shared)
    }

    /// Keeps what was written since [`begin`](Self::begin).
    async fn keep(&mut self) -> Result<(), DbErr> {
        let Some(shared) = &mut self.shared else { return Err(lost()) };
        if Arc::get_mut(shared).is_none() {
            self.abandon();
            return Err(DbErr::Custom("a transaction was kept beyond its act".to_owned()));
        }
        if let Err(error) = shared.execute_unprepared("RELEASE part").await {
            self.abandon();
            return Err(error);
        }
        self.unfinished = false;
        Ok(())
    }

    /// Takes back a part that was not kept. Where that fails, the database has ended the whole
    /// transaction by itself (the disk is full, for instance), and everybody in it has to hear so.
    async fn take_back_unfinished(&mut self) {
        if !self.unfinished {
            return;
        }
        let Some(shared) = &self.shared else { return self.abandon() };
        match shared.execute_unprepared("ROLLBACK TO part; RELEASE part").await {
            Ok(_) => self.unfinished = false,
            Err(_) => self.abandon(),
        }
    }

    async fn commit(&mut self) {
        self.take_back_unfinished().await;
        // If this is dropped half way, the transaction is rolled back and those who wait are told
        // by their channel's end: nobody hears of a success that was none.
        let waiting = std::mem::take(&mut self.waiting);
        let Some(shared) = self.shared.take() else { return };
        let Ok(shared) = Arc::try_unwrap(shared) else { return };
        let outcome = shared.commit().await;
        for one in waiting {
            let _ = one.send(outcome.clone());
        }
    }

    /// Rolls back the whole batch and tells everybody in it.
    fn abandon(&mut self) {
        self.waiting.clear();
        self.shared = None;
        self.unfinished = false;
    }
}

fn lost() -> DbErr {
    DbErr::Custom("the shared transaction was rolled back".to_owned())
}

impl GroupCommit {
    pub(super) fn new(connection: DatabaseConnection) -> Self {
        let batch = Batch { connection, shared: None, unfinished: false, waiting: Vec::new() };
        let queue = Arc::new(Mutex::new(batch));
        let due = Arc::new(Notify::new());
        let committer = tokio::spawn({
            let (queue, due) = (queue.clone(), due.clone());
            async move {
                loop {
                    due.notified().await;
                    let queue = queue.clone();
                    // In a task of its own: should it panic, those who wait are told and the next
                    // commit goes ahead.
                    let commit = tokio::spawn(async move { queue.lock().await.commit().await });
                    if let Err(error) = commit.await {
                        tracing::error!(%error, "a commit broke off");
                    }
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
///
/// Whoever writes may be dropped at any moment, with the request that it serves; what begins and ends
/// its part then still runs to its end, in a task of its own. Half a savepoint is everybody's problem.
pub(super) struct Turn {
    batch: OwnedMutexGuard<Batch>,
    due: Arc<Notify>,
}

impl Turn {
    /// Opens this writer's part of the shared transaction; whoever holds it lets go of it before the
    /// turn ends.
    pub(super) async fn begin(mut self) -> Result<(Arc<DatabaseTransaction>, Self), DbErr> {
        let begin = async move { self.batch.begin().await.map(|part| (part, self)) };
        tokio::spawn(begin).await.unwrap_or_else(|_| Err(lost()))
    }

    /// Closes this writer's part, lets the next one write, and waits until both are stored.
    pub(super) async fn commit(mut self) -> Result<(), DbErr> {
        let (stored, wait) = oneshot::channel();
        let keep = async move { self.batch.keep().await.map(|()| self.batch.waiting.push(stored)) };
        tokio::spawn(keep).await.unwrap_or_else(|_| Err(lost()))?;
        wait.await.unwrap_or_else(|_| Err(lost()))
    }
}

impl Drop for Turn {
    /// Also after an act that failed: its part has to be taken back, others may wait for the commit,
    /// and an open transaction keeps other processes out.
    fn drop(&mut self) {
        self.due.notify_one();
    }
}
