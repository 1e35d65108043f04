//! One writer, many commits for the price of one.
//!
//! SQLite has one writer at a time, and a durable commit waits for the disk. So the writers stand
//! in a fair queue; each does its work in a savepoint of one shared transaction, and whoever is
//! through waits for the commit of that transaction. The commit itself stands in the same queue:
//! it takes its place behind those who are waiting already, so that they share it, and ahead of
//! whoever comes later. Alone, a writer commits at once; under load a commit carries the whole queue.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    ConnAcquireErr, ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::{
    sync::{Mutex, Notify, OwnedMutexGuard, oneshot},
    time::timeout,
};

use super::{Statements, open, sqlite_code};

/// SQLite's primary result code for a lock that another process holds.
const BUSY: u32 = 5;

pub(super) struct GroupCommit {
    queue: Arc<Mutex<Batch>>,
    due: Arc<Notify>,
    committer: tokio::task::JoinHandle<()>,
    /// How long a writer waits for its turn and for the lock of the database.
    patience: Duration,
}

/// How the connection that writes is opened.
pub(super) struct Connector {
    pub(super) options: ConnectOptions,
    pub(super) statements: Arc<Statements>,
}

/// What is written but not yet committed.
///
/// The parts are savepoints set in plain SQL. sqlx's own nested transactions keep a depth that a
/// request dropped at the wrong moment unbalances, and then a rollback of one part takes all.
struct Batch {
    connector: Connector,
    /// None after a failure: what state that connection is in is not worth guessing.
    connection: Option<DatabaseConnection>,
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
        let shared = match &self.shared {
            Some(shared) => shared.clone(),
            None => self.begin_shared().await?,
        };
        self.unfinished = true;
        if let Err(error) = shared.execute_unprepared("SAVEPOINT part").await {
            drop(shared);
            self.abandon();
            return Err(error);
        }
        Ok(shared)
    }

    /// Begins the transaction that the parts share.
    ///
    /// SQLite refuses `BEGIN` on a connection that is within a transaction already, and the pool gives out
    /// none that sqlx believes to be in one: then it would set a savepoint instead, whose release stores
    /// nothing.
    async fn begin_shared(&mut self) -> Result<Arc<DatabaseTransaction>, DbErr> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(open(self.connector.options.clone(), &self.connector.statements).await?),
        };
        // IMMEDIATE: a transaction that begins by reading cannot be upgraded while another
        // process writes; it would fail at once instead of waiting.
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
            // It waits for whoever still holds the transaction, which nobody has to wait for here.
            tokio::spawn(async move { connection.close_by_ref().await });
        }
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
        let Ok(shared) = Arc::try_unwrap(shared) else { return self.discard_connection() };
        let outcome = shared.commit().await;
        if let Err(error) = &outcome {
            // SQLite may have rolled back by itself, and sqlx believes that the transaction is still open.
            tracing::error!(%error, writers = waiting.len(), "a commit failed; its connection is closed");
            self.discard_connection();
        }
        for one in waiting {
            let _ = one.send(outcome.clone());
        }
    }

    /// Rolls back the whole batch and tells everybody in it.
    fn abandon(&mut self) {
        self.waiting.clear();
        self.shared = None;
        self.unfinished = false;
        self.discard_connection();
    }
}

/// Somebody else's failure ended the transaction: nothing of it is stored, and it may be tried again.
fn lost() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal("the shared transaction was rolled back".to_owned()))
}

impl GroupCommit {
    /// Opens the connection that writes.
    pub(super) async fn open(connector: Connector, patience: Duration) -> Result<Self, DbErr> {
        let connection = Some(open(connector.options.clone(), &connector.statements).await?);
        let batch = Batch { connector, connection, shared: None, unfinished: false, waiting: Vec::new() };
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
        Ok(Self { queue, due, committer, patience })
    }

    /// Waits for this writer's turn and opens its part of the shared transaction; whoever holds that lets go
    /// of it before the turn ends.
    ///
    /// # Errors
    /// A timeout where others, in this process or another, do not come to an end.
    pub(super) async fn begin(&self) -> Result<(Arc<DatabaseTransaction>, Turn), DbErr> {
        let begin = async {
            let mut turn = Turn { batch: self.queue.clone().lock_owned().await, due: self.due.clone() };
            let begin = async move { turn.batch.begin().await.map(|part| (part, turn)) };
            tokio::spawn(begin).await.unwrap_or_else(|_| Err(lost()))
        };
        timeout(self.patience, begin).await.unwrap_or(Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)))
    }

    /// Commits what is pending and closes the connection.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
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
