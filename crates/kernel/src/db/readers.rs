//! A pool of SQLite connections for reading. Each statement has a deadline and is interrupted when its caller is
//! dropped; sqlx's own pool would let the statement run to its end and keep the connection busy.
//!
//! Each connection has a thread. Its priority is lowered for background work, for statements that were long-running the
//! last time, and when the current statement turns out to be.

use std::{
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

#[cfg(feature = "testing")]
use sea_orm::FromQueryResult;
use sea_orm::{ConnAcquireErr, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;
use sqlx::{
    AssertSqlSafe, Connection as _, Executor, Sqlite,
    query::Query,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    long::{LongStatements, StatementKey},
    options::connect,
    script::{Executed, Outcome, Script},
};
use crate::background;

/// The number of virtual machine instructions between two calls of the progress handler: some tens of microseconds.
const PROGRESS_INSTRUCTIONS: i32 = 1000;
/// The number of progress calls, some milliseconds, after which a statement counts as long-running. Unlike elapsed time
/// it does not depend on the load of the machine.
const LONG: u32 = 400;
/// The deadline of an idle connection and of a statement without one.
const NEVER: u64 = u64::MAX;
/// The deadline of a statement whose caller was dropped.
const EXPIRED: u64 = 0;

/// Begins a transaction, whose snapshot is that of its first statement.
const BEGIN: &str = "BEGIN";

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The monotonic time in microseconds.
fn micros() -> u64 {
    u64::try_from(START.elapsed().as_micros()).unwrap_or(NEVER)
}

/// The pool. Idle connections are stacks: the one that was used last is used next.
#[derive(Clone)]
pub(super) struct Readers(Arc<Shared>);

struct Shared {
    options: SqliteConnectOptions,
    max_connections: usize,
    idle: Mutex<Idle>,
    permits: Arc<Semaphore>,
    long: LongStatements,
    /// How long one statement may run.
    limit: Option<Duration>,
    acquire_timeout: Duration,
}

#[derive(Default)]
struct Idle {
    normal: Vec<Reader>,
    low_priority: Vec<Reader>,
}

impl Idle {
    fn stack(&mut self, is_low_priority: bool) -> &mut Vec<Reader> {
        if is_low_priority { &mut self.low_priority } else { &mut self.normal }
    }
}

struct Reader {
    connection: SqliteConnection,
    progress: Arc<Progress>,
}

/// The state of the progress handler of a connection.
struct Progress {
    /// When the statement is interrupted, in microseconds.
    deadline: AtomicU64,
    /// The number of calls during the statement.
    calls: AtomicU32,
    /// The number of calls after which the priority of the thread is lowered.
    max_calls: AtomicU32,
    is_low_priority: AtomicBool,
}

impl Progress {
    /// The progress handler, called on the thread of the connection; returns whether the statement may go on.
    fn on_progress(&self) -> bool {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        if calls >= self.max_calls.load(Ordering::Relaxed) && !self.is_low_priority.swap(true, Ordering::Relaxed) {
            background::lower_priority();
        }
        let deadline = self.deadline.load(Ordering::Relaxed);
        deadline == NEVER || micros() < deadline
    }
}

/// A connection while a statement or a transaction runs on it.
pub(super) struct Lease {
    reader: Option<Reader>,
    readers: Readers,
    permit: Option<OwnedSemaphorePermit>,
    statement: StatementKey,
    /// The permit of a long-running statement.
    _long_permit: Option<OwnedSemaphorePermit>,
    is_done: bool,
    /// Whether a transaction is open on the connection.
    in_transaction: bool,
}

impl Readers {
    /// A pool whose connections are opened when needed.
    pub(super) fn new(
        options: SqliteConnectOptions,
        connections: u32,
        limit: Option<Duration>,
        acquire_timeout: Duration,
    ) -> Self {
        let max_connections = usize::try_from(connections.max(1)).unwrap_or(1);
        let permits = Arc::new(Semaphore::new(max_connections));
        let long = LongStatements::new(connections, 1, acquire_timeout);
        let idle = Mutex::default();
        Self(Arc::new(Shared { options, max_connections, idle, permits, long, limit, acquire_timeout }))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a connection to the pool, unless enough are idle.
    fn put_back(&self, reader: Reader) {
        if self.0.permits.is_closed() {
            return;
        }
        reader.progress.deadline.store(NEVER, Ordering::Relaxed);
        let mut idle = self.idle();
        let stack = idle.stack(reader.progress.is_low_priority.load(Ordering::Relaxed));
        if stack.len() < self.0.max_connections {
            stack.push(reader);
        }
    }

    async fn open(&self) -> Result<Reader, sqlx::Error> {
        let mut connection = connect(&self.0.options).await?;
        let progress = Arc::new(Progress {
            deadline: AtomicU64::new(NEVER),
            calls: AtomicU32::new(0),
            max_calls: AtomicU32::new(LONG),
            is_low_priority: AtomicBool::new(false),
        });
        let handler = progress.clone();
        connection.lock_handle().await?.set_progress_handler(PROGRESS_INSTRUCTIONS, move || handler.on_progress());
        Ok(Reader { connection, progress })
    }

    /// The deadline of a statement that begins now.
    fn deadline(&self) -> u64 {
        let limit = self.0.limit.map(|limit| u64::try_from(limit.as_micros()).unwrap_or(NEVER));
        limit.map_or(NEVER, |limit| micros().saturating_add(limit))
    }

    /// Opens a connection that does not belong to the pool, for one long statement.
    pub(super) async fn open_separate(&self) -> Result<SqliteConnection, DbErr> {
        connect(&self.0.options).await.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))
    }

    /// Begins a transaction for reading.
    pub(super) async fn begin(&self) -> Result<Lease, DbErr> {
        let mut lease = self.lease(BEGIN).await?;
        lease.in_transaction = true;
        let mut script = Script::default();
        script.push(Statement::from_string(DbBackend::Sqlite, BEGIN));
        lease.run(script).await?;
        Ok(lease)
    }

    /// Whether a connection is free.
    pub(super) fn has_free(&self) -> bool {
        self.0.permits.available_permits() > 0
    }

    async fn lease(&self, sql: &str) -> Result<Lease, DbErr> {
        let statement = StatementKey::of(sql);
        // Before a connection is acquired, so that none is held while waiting.
        let long_permit = self.0.long.acquire(statement).await?;
        let acquire = timeout(self.0.acquire_timeout, self.0.permits.clone().acquire_owned());
        let permit = acquire.await.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        let permit = permit.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))?;
        let is_low_priority = long_permit.is_some() || background::is_low_priority();
        let idle = self.idle().stack(is_low_priority).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => self.open().await.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?,
        };
        reader.progress.deadline.store(self.deadline(), Ordering::Relaxed);
        reader.progress.calls.store(0, Ordering::Relaxed);
        reader.progress.max_calls.store(if is_low_priority { 0 } else { LONG }, Ordering::Relaxed);
        let (reader, readers, permit) = (Some(reader), self.clone(), Some(permit));
        Ok(Lease {
            reader,
            readers,
            permit,
            statement,
            _long_permit: long_permit,
            is_done: false,
            in_transaction: false,
        })
    }

    /// Closes the pool and its idle connections; busy ones are closed after their statement.
    pub(super) async fn close(&self) {
        self.0.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for reader in idle.normal.into_iter().chain(idle.low_priority) {
            // A connection that fails to close is broken already.
            let _ = reader.connection.close().await;
        }
    }

    /// The prepared statements of all connections. Waits until none is busy.
    #[cfg(feature = "testing")]
    pub(super) async fn prepared(&self) -> Result<Vec<super::inspect::PreparedStatement>, DbErr> {
        let all = u32::try_from(self.0.max_connections).unwrap_or(u32::MAX);
        let acquire = timeout(self.0.acquire_timeout, self.0.permits.acquire_many(all));
        let permits = acquire.await.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        let _permits = permits.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))?;
        let idle = std::mem::take(&mut *self.idle());
        let mut prepared = Vec::new();
        for mut reader in idle.normal.into_iter().chain(idle.low_priority) {
            let rows = reader.connection.fetch_all(sqlx::query(super::inspect::PREPARED)).await;
            self.put_back(reader);
            for row in rows.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))? {
                prepared.push(super::inspect::PreparedStatement::from_query_result(&QueryResult::from(row), "")?);
            }
        }
        Ok(prepared)
    }

    pub(super) async fn execute_all(&self, statements: Vec<Statement>) -> Result<Vec<Executed>, DbErr> {
        let mut script = Script::default();
        for statement in statements {
            script.push(statement);
        }
        let mut lease = self.lease(script.text()).await?;
        let Outcome { executed, error } = script.run(lease.connection()?).await;
        lease.finish(error.map_or(Ok(executed), Err), DbErr::Query)
    }

    pub(super) async fn execute(&self, statement: &Statement) -> Result<ExecResult, DbErr> {
        let mut lease = self.lease(&statement.sql).await?;
        let outcome = lease.connection()?.execute(query(statement)).await;
        lease.finish(outcome, DbErr::Exec).map(ExecResult::from)
    }

    pub(super) async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut lease = self.lease(sql).await?;
        let outcome = lease.connection()?.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await;
        lease.finish(outcome, DbErr::Exec).map(ExecResult::from)
    }

    pub(super) async fn query_one(&self, statement: &Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut lease = self.lease(&statement.sql).await?;
        let outcome = lease.connection()?.fetch_optional(query(statement)).await;
        Ok(lease.finish(outcome, DbErr::Query)?.map(QueryResult::from))
    }

    pub(super) async fn query_all(&self, statement: &Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut lease = self.lease(&statement.sql).await?;
        let outcome = lease.connection()?.fetch_all(query(statement)).await;
        Ok(lease.finish(outcome, DbErr::Query)?.into_iter().map(QueryResult::from).collect())
    }
}

fn query(statement: &Statement) -> Query<'_, Sqlite, SqlxValues> {
    let values = statement.values.clone().unwrap_or(sea_orm::Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values))
}

impl Lease {
    /// Runs statements in the transaction of the lease.
    pub(super) async fn run(&mut self, script: Script) -> Result<Vec<Executed>, DbErr> {
        let deadline = self.readers.deadline();
        if let Some(reader) = &self.reader {
            reader.progress.deadline.store(deadline, Ordering::Relaxed);
        }
        let Outcome { executed, error } = script.run(self.connection()?).await;
        match error {
            None => Ok(executed),
            Some(error) => {
                if !matches!(error, sqlx::Error::Database(_)) {
                    // The state of the connection is unknown.
                    self.reader = None;
                }
                Err(DbErr::Query(RuntimeErr::SqlxError(error.into())))
            }
        }
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection, DbErr> {
        match &mut self.reader {
            Some(reader) => Ok(&mut reader.connection),
            None => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
        }
    }

    /// Ends the lease with the outcome of its statement.
    fn finish<T>(mut self, outcome: Result<T, sqlx::Error>, kind: fn(RuntimeErr) -> DbErr) -> Result<T, DbErr> {
        self.is_done = true;
        outcome.map_err(|error| {
            if !matches!(error, sqlx::Error::Database(_) | sqlx::Error::RowNotFound) {
                // The state of the connection is unknown.
                self.reader = None;
            }
            kind(RuntimeErr::SqlxError(error.into()))
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut reader) = self.reader.take() else { return };
        let was_long = reader.progress.calls.load(Ordering::Relaxed) >= LONG;
        self.readers.0.long.record(self.statement, was_long);
        if self.is_done && !self.in_transaction {
            self.readers.put_back(reader);
            return;
        }
        // The caller or the transaction was dropped: interrupt the statement, and reuse the connection after that.
        reader.progress.deadline.store(EXPIRED, Ordering::Relaxed);
        let (readers, permit, in_transaction) = (self.readers.clone(), self.permit.take(), self.in_transaction);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let ended = if in_transaction {
                reader.connection.execute("ROLLBACK").await.map(drop)
            } else {
                reader.connection.ping().await
            };
            if ended.is_ok() {
                readers.put_back(reader);
            }
            drop(permit);
        });
    }
}
