//! Group commit for SQLite.
//!
//! SQLite has one writer at a time, and a durable commit waits for the disk. So writers wait in a fair queue, and each
//! runs in a savepoint of one shared transaction and then waits for the commit of that transaction. The commit waits in
//! the same queue: behind the writers that are waiting already, so that they share it, and ahead of later ones. A
//! single writer commits immediately; under load, one commit covers the whole queue.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};
use sqlx::sqlite::SqliteConnectOptions;
use tokio::{
    sync::{Mutex, Notify, OwnedMutexGuard, oneshot},
    time::timeout,
};

use super::{
    checkpoint::Checkpointer,
    options::connect,
    statistics::Statements,
    write_session::{WriteSession, rolled_back},
};

pub(super) struct GroupCommit {
    options: SqliteConnectOptions,
    queue: Arc<Mutex<Batch>>,
    commit_due: Arc<Notify>,
    committer: tokio::task::JoinHandle<()>,
    checkpointer: Checkpointer,
    /// How long a writer waits for its permit and for the lock of the database.
    acquire_timeout: Duration,
}

/// The shared transaction and the writers in it.
struct Batch {
    options: SqliteConnectOptions,
    statements: Arc<Statements>,
    /// `None` after a failure, since the state of that connection is unknown.
    session: Option<Arc<WriteSession>>,
    /// The writer that has begun last.
    writer: Weak<Part>,
    /// Whether a writer has begun that may have failed or been dropped.
    has_open_part: bool,
    /// The writers that wait for the commit.
    waiting: Vec<oneshot::Sender<Result<(), DbErr>>>,
    /// Whether something was committed since the last checkpoint.
    has_committed: Arc<AtomicBool>,
}

/// The part of one writer in the shared transaction.
pub(super) struct Part(Arc<WriteSession>);

impl std::ops::Deref for Part {
    type Target = WriteSession;

    fn deref(&self) -> &WriteSession {
        &self.0
    }
}

impl Batch {
    /// Begins the part of a writer, and the shared transaction unless it has begun.
    async fn begin(&mut self) -> Result<Arc<Part>, DbErr> {
        self.roll_back_open_part().await;
        let session = match &self.session {
            Some(session) => session.clone(),
            None => self.session.insert(open(&self.options, &self.statements).await?).clone(),
        };
        // IMMEDIATE: a transaction that begins with a read cannot be upgraded while another process writes;
        // it would fail instead of waiting.
        let begun = session.begin().await;
        if session.is_broken() {
            self.abandon();
        }
        begun?;
        session.begin_part();
        let part = Arc::new(Part(session));
        self.has_open_part = true;
        self.writer = Arc::downgrade(&part);
        Ok(part)
    }

    /// Ends the part of the current writer. Returns whether it executed anything.
    async fn release_part(&mut self) -> Result<bool, DbErr> {
        let Some(session) = self.session.clone() else { return Err(rolled_back()) };
        if self.writer.strong_count() > 0 {
            self.abandon();
            return Err(DbErr::Custom("a transaction was used after its closure returned".to_owned()));
        }
        let has_executed = session.release_part().await;
        if session.is_broken() {
            self.abandon();
        }
        // After an error, the part is rolled back before the next writer begins.
        let has_executed = has_executed?;
        self.has_open_part = false;
        Ok(has_executed)
    }

    /// Rolls back a part that was not released.
    async fn roll_back_open_part(&mut self) {
        let Some(session) = self.session.clone().filter(|_| self.has_open_part) else { return };
        if self.writer.strong_count() == 0 {
            session.roll_back_part().await;
        } else {
            session.break_off();
        }
        self.has_open_part = false;
        if session.is_broken() {
            self.abandon();
        }
    }

    async fn commit(&mut self) {
        self.roll_back_open_part().await;
        let Some(session) = self.session.clone() else { return };
        // If this future is dropped, the channels of the waiting writers are closed, so none of them reports a success.
        let waiting = std::mem::take(&mut self.waiting);
        let outcome = session.commit().await;
        self.has_committed.store(true, Ordering::Relaxed);
        if let Err(error) = &outcome {
            tracing::error!(%error, writers = waiting.len(), "a commit failed; its connection is closed");
            self.abandon();
        }
        for writer in waiting {
            let _ = writer.send(outcome.clone());
        }
    }

    /// Rolls back the whole batch: the next transaction begins on a new connection. Dropping the channels reports an
    /// error to its writers.
    fn abandon(&mut self) {
        self.waiting.clear();
        self.has_open_part = false;
        if let Some(session) = self.session.take() {
            session.break_off();
            // In the background, since it waits for the running statement. A connection that fails to close is broken
            // already.
            tokio::spawn(async move { session.close().await });
        }
    }
}

/// Opens the connection for writing.
async fn open(options: &SqliteConnectOptions, statements: &Arc<Statements>) -> Result<Arc<WriteSession>, DbErr> {
    let connection = connect(options).await.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?;
    Ok(Arc::new(WriteSession::new(connection, statements.clone())))
}

impl GroupCommit {
    /// Opens the connection for writing.
    pub(super) async fn open(
        options: SqliteConnectOptions,
        statements: Arc<Statements>,
        acquire_timeout: Duration,
    ) -> Result<Self, DbErr> {
        let session = Some(open(&options, &statements).await?);
        let has_committed = Arc::<AtomicBool>::default();
        let checkpointer = Checkpointer::start(options.clone(), has_committed.clone());
        let (writer, waiting, has_open_part) = (Weak::new(), Vec::new(), false);
        let batch =
            Batch { options: options.clone(), statements, session, writer, has_open_part, waiting, has_committed };
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
        Ok(Self { options, queue, commit_due, committer, checkpointer, acquire_timeout })
    }

    /// The options of its connection.
    pub(super) fn options(&self) -> &SqliteConnectOptions {
        &self.options
    }

    /// Waits for a permit and begins a part of the shared transaction. The returned part must be dropped before the
    /// permit.
    ///
    /// # Errors
    /// A timeout if other writers, in this process or another, do not finish.
    pub(super) async fn begin(&self) -> Result<(Arc<Part>, WritePermit), DbErr> {
        let begin = async {
            let batch = self.queue.clone().lock_owned().await;
            let mut permit = WritePermit { batch, commit_due: self.commit_due.clone() };
            permit.batch.begin().await.map(|part| (part, permit))
        };
        timeout(self.acquire_timeout, begin).await.unwrap_or(Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)))
    }

    /// Commits the shared transaction and closes the connection.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        self.checkpointer.stop().await;
        let mut batch = self.queue.lock().await;
        batch.commit().await;
        match batch.session.take() {
            Some(session) => {
                // If it is the last one, closing it copies the log into the file; but only if it has used the log.
                let used = session.execute_unprepared("SELECT 1 FROM sqlite_master LIMIT 1").await;
                session.close().await.and(used.map(drop))
            }
            None => Ok(()),
        }
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        self.committer.abort();
    }
}

/// The exclusive right to write, for one transaction.
pub(super) struct WritePermit {
    batch: OwnedMutexGuard<Batch>,
    commit_due: Arc<Notify>,
}

impl WritePermit {
    /// Ends the part, lets the next writer begin, and waits for the shared commit. A part without a statement needs
    /// none.
    pub(super) async fn commit(mut self) -> Result<(), DbErr> {
        let (sender, committed) = oneshot::channel();
        if !self.batch.release_part().await? {
            return Ok(());
        }
        self.batch.waiting.push(sender);
        drop(self);
        committed.await.unwrap_or_else(|_| Err(rolled_back()))
    }
}

impl Drop for WritePermit {
    /// Requests a commit, also after a failure: the part must be rolled back, other writers may wait for the commit,
    /// and an open transaction blocks other processes.
    fn drop(&mut self) {
        self.commit_due.notify_one();
    }
}
