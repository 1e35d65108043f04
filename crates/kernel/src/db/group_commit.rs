//! Group commit for SQLite.
//!
//! SQLite has one writer at a time, and a durable commit waits for the disk. So writers wait in a fair queue, and each
//! runs in a savepoint of one shared transaction and then waits for the commit of that transaction. The commit waits in
//! the same queue: behind the writers that are waiting already, so that they share it, and ahead of later ones. A
//! single writer commits immediately; under load, one commit covers the whole queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sea_orm::{
    ConnAcquireErr, ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use tokio::{
    sync::{Mutex, Notify, OwnedMutexGuard, oneshot},
    time::timeout,
};

use super::{
    conn::{SAVEPOINTS, Statements},
    options::open,
    sqlite_code,
};

/// SQLite's primary result code for a lock that another process holds.
const BUSY: u32 = 5;

/// How often the write-ahead log is copied into the database file.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct GroupCommit {
    queue: Arc<Mutex<Batch>>,
    commit_due: Arc<Notify>,
    committer: tokio::task::JoinHandle<()>,
    checkpointer: Checkpointer,
    /// How long a writer waits for its permit and for the lock of the database.
    acquire_timeout: Duration,
}

/// Opens the connection for writing.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) options: ConnectOptions,
    pub(super) statements: Arc<Statements>,
}

/// The shared transaction and the writers in it.
///
/// The savepoints are set in plain SQL. sqlx's nested transactions count a depth, which becomes wrong if a request is
/// dropped at the wrong moment; the rollback of one savepoint would then roll back the whole transaction.
struct Batch {
    connector: Connector,
    /// `None` after a failure, since the state of that connection is unknown.
    connection: Option<DatabaseConnection>,
    /// The shared transaction, once a writer has begun.
    shared: Option<Arc<DatabaseTransaction>>,
    /// Whether a savepoint is open whose writer may have failed or been dropped.
    has_open_savepoint: bool,
    /// The writers that wait for the commit.
    waiting: Vec<oneshot::Sender<Result<(), DbErr>>>,
    /// Whether something was committed since the last checkpoint.
    has_committed: Arc<AtomicBool>,
}

impl Batch {
    /// Opens a savepoint for a writer.
    async fn begin(&mut self) -> Result<Arc<DatabaseTransaction>, DbErr> {
        self.roll_back_open_savepoint().await;
        let shared = match &self.shared {
            Some(shared) => shared.clone(),
            None => self.begin_shared().await?,
        };
        self.has_open_savepoint = true;
        if let Err(error) = shared.execute_raw(statement(SAVEPOINTS[0])).await {
            drop(shared);
            self.abandon();
            return Err(error);
        }
        Ok(shared)
    }

    /// Begins the shared transaction.
    ///
    /// It must be a real one: SQLite refuses `BEGIN` on a connection with an open transaction, and the pool discards
    /// connections on which sqlx believes a transaction to be open, where it would only set a savepoint.
    async fn begin_shared(&mut self) -> Result<Arc<DatabaseTransaction>, DbErr> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            empty => empty.insert(open(self.connector.options.clone(), &self.connector.statements).await?),
        };
        // IMMEDIATE: a transaction that begins with a read cannot be upgraded while another process writes;
        // it would fail instead of waiting.
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        match connection.begin_with_options(options).await {
            Ok(shared) => Ok(self.shared.insert(Arc::new(shared)).clone()),
            Err(error) => {
                if sqlite_code(&error) != Some(BUSY) {
                    self.discard_connection();
                }
                Err(error)
            }
        }
    }

    /// Closes the connection; the next transaction begins on a new one.
    fn discard_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            // In the background, since it waits until the transaction is no longer used.
            tokio::spawn(async move { connection.close_by_ref().await });
        }
    }

    /// Releases the savepoint of the current writer.
    async fn release_savepoint(&mut self) -> Result<(), DbErr> {
        let Some(shared) = &mut self.shared else { return Err(rolled_back()) };
        if Arc::get_mut(shared).is_none() {
            self.abandon();
            return Err(DbErr::Custom("a transaction was used after its closure returned".to_owned()));
        }
        if let Err(error) = shared.execute_raw(statement(SAVEPOINTS[1])).await {
            self.abandon();
            return Err(error);
        }
        self.has_open_savepoint = false;
        Ok(())
    }

    /// Rolls back a savepoint that was not released. If that fails, SQLite has already rolled back the whole
    /// transaction (because the disk is full, for instance), and all its writers get an error.
    async fn roll_back_open_savepoint(&mut self) {
        if !self.has_open_savepoint {
            return;
        }
        let Some(shared) = &self.shared else { return self.abandon() };
        match shared.execute_unprepared("ROLLBACK TO part; RELEASE part").await {
            Ok(_) => self.has_open_savepoint = false,
            Err(_) => self.abandon(),
        }
    }

    async fn commit(&mut self) {
        self.roll_back_open_savepoint().await;
        // If this future is dropped, the transaction is rolled back and the channels of the waiting writers are closed,
        // so none of them reports a success.
        let waiting = std::mem::take(&mut self.waiting);
        let Some(shared) = self.shared.take() else { return };
        let Ok(shared) = Arc::try_unwrap(shared) else { return self.discard_connection() };
        let outcome = shared.commit().await;
        self.has_committed.store(true, Ordering::Relaxed);
        if let Err(error) = &outcome {
            // SQLite may have rolled back by itself while sqlx believes that the transaction is still open.
            tracing::error!(%error, writers = waiting.len(), "a commit failed; its connection is closed");
            self.discard_connection();
        }
        for writer in waiting {
            let _ = writer.send(outcome.clone());
        }
    }

    /// Rolls back the whole batch. Dropping the channels reports an error to its writers.
    fn abandon(&mut self) {
        self.waiting.clear();
        self.shared = None;
        self.has_open_savepoint = false;
        self.discard_connection();
    }
}

/// A statement that is prepared once per connection.
fn statement(sql: &'static str) -> Statement {
    Statement::from_string(DbBackend::Sqlite, sql)
}

/// The error of a writer whose shared transaction was rolled back because of another writer; it may be retried.
fn rolled_back() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal("the shared transaction was rolled back".to_owned()))
}

impl GroupCommit {
    /// Opens the connection for writing.
    pub(super) async fn open(connector: Connector, acquire_timeout: Duration) -> Result<Self, DbErr> {
        let connection = Some(open(connector.options.clone(), &connector.statements).await?);
        let has_committed = Arc::<AtomicBool>::default();
        let checkpointer = Checkpointer::start(connector.clone(), has_committed.clone());
        let (waiting, has_open_savepoint) = (Vec::new(), false);
        let batch = Batch { connector, connection, shared: None, has_open_savepoint, waiting, has_committed };
        let queue = Arc::new(Mutex::new(batch));
        let commit_due = Arc::new(Notify::new());
        let committer = tokio::spawn({
            let (queue, commit_due) = (queue.clone(), commit_due.clone());
            async move {
                loop {
                    commit_due.notified().await;
                    let queue = queue.clone();
                    // In a task of its own: after a panic, the waiting writers get an error and the next commit can
                    // still run.
                    let commit = tokio::spawn(async move { queue.lock().await.commit().await });
                    if let Err(error) = commit.await {
                        tracing::error!(%error, "a commit panicked");
                    }
                }
            }
        });
        Ok(Self { queue, commit_due, committer, checkpointer, acquire_timeout })
    }

    /// Waits for a permit and opens a savepoint in the shared transaction. The returned transaction must be dropped
    /// before the permit.
    ///
    /// # Errors
    /// A timeout if other writers, in this process or another, do not finish.
    pub(super) async fn begin(&self) -> Result<(Arc<DatabaseTransaction>, WritePermit), DbErr> {
        let begin = async {
            let batch = self.queue.clone().lock_owned().await;
            let mut permit = WritePermit { batch, commit_due: self.commit_due.clone() };
            let begin = async move { permit.batch.begin().await.map(|tx| (tx, permit)) };
            tokio::spawn(begin).await.unwrap_or_else(|_| Err(rolled_back()))
        };
        timeout(self.acquire_timeout, begin).await.unwrap_or(Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)))
    }

    /// Commits the shared transaction and closes the connection.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        self.checkpointer.stop().await;
        let mut batch = self.queue.lock().await;
        batch.commit().await;
        match batch.connection.take() {
            Some(connection) => connection.close_by_ref().await,
            None => Ok(()),
        }
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        self.committer.abort();
        self.checkpointer.stop.notify_one();
    }
}

/// Copies the write-ahead log into the database file in the background, so that no commit has to. A commit still does
/// if the log has become large (`wal_autocheckpoint`).
struct Checkpointer {
    stop: Arc<Notify>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Checkpointer {
    fn start(connector: Connector, has_committed: Arc<AtomicBool>) -> Self {
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
                if let Err(error) = checkpoint(&mut connection, &connector).await {
                    tracing::warn!(%error, "the write-ahead log could not be copied into the database file");
                    connection = None;
                }
            }
            if let Some(connection) = connection {
                // A connection that fails to close is broken already.
                let _ = connection.close_by_ref().await;
            }
        });
        Self { stop, task: Mutex::new(Some(task)) }
    }

    /// Waits for a running checkpoint, and closes the connection.
    async fn stop(&self) {
        self.stop.notify_one();
        if let Some(task) = self.task.lock().await.take() {
            // It cannot be cancelled, and a panic is no reason not to close.
            let _ = task.await;
        }
    }
}

async fn checkpoint(connection: &mut Option<DatabaseConnection>, connector: &Connector) -> Result<(), DbErr> {
    let connection = match connection {
        Some(connection) => connection,
        // Its statements do not count as those of requests.
        empty => empty.insert(open(connector.options.clone(), &Arc::default()).await?),
    };
    // Passive: it copies what no reader needs any more and waits for nobody.
    connection.execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)").await.map(|_| ())
}

/// The exclusive right to write, for one transaction.
///
/// A writer may be dropped at any time, with its request. So opening and releasing a savepoint run in tasks of their
/// own, which are not dropped with it: a half-executed statement would break the shared transaction.
pub(super) struct WritePermit {
    batch: OwnedMutexGuard<Batch>,
    commit_due: Arc<Notify>,
}

impl WritePermit {
    /// Releases the savepoint, lets the next writer begin, and waits for the shared commit.
    pub(super) async fn commit(mut self) -> Result<(), DbErr> {
        let (sender, committed) = oneshot::channel();
        let release = async move { self.batch.release_savepoint().await.map(|()| self.batch.waiting.push(sender)) };
        tokio::spawn(release).await.unwrap_or_else(|_| Err(rolled_back()))?;
        committed.await.unwrap_or_else(|_| Err(rolled_back()))
    }
}

impl Drop for WritePermit {
    /// Requests a commit, also after a failure: the savepoint must be rolled back, other writers may wait for the
    /// commit, and an open transaction blocks other processes.
    fn drop(&mut self) {
        self.commit_due.notify_one();
    }
}
