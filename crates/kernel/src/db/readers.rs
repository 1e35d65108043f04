//! Connections of SQLite for reading: each statement has a deadline, and is interrupted where nobody waits for it any
//! more. A pool of sqlx would keep a statement running, and its connection busy, until it is through.

use std::{
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{ConnAcquireErr, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection as _, Executor, Sqlite,
    query::Query,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How many steps of SQLite's machine are between two looks at the clock: some tens of microseconds.
const STEPS: i32 = 1000;
/// The deadline of a statement that has none, and of a connection that is idle.
const NEVER: u64 = u64::MAX;
/// The deadline of a statement that nobody waits for.
const AT_ONCE: u64 = 0;

static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

fn micros() -> u64 {
    u64::try_from(BEGINNING.elapsed().as_micros()).unwrap_or(NEVER)
}

/// A stack of connections; the one that was used last is used next.
#[derive(Clone)]
pub(super) struct Readers(Arc<Shared>);

struct Shared {
    options: SqliteConnectOptions,
    idle: Mutex<Vec<Reader>>,
    permits: Arc<Semaphore>,
    /// How long one statement may run.
    limit: Option<Duration>,
    /// How long it is waited for a connection.
    patience: Duration,
}

struct Reader {
    connection: SqliteConnection,
    /// When the statement that runs has to be through, in microseconds.
    deadline: Arc<AtomicU64>,
}

/// A connection while a statement runs on it.
struct Lease {
    reader: Option<Reader>,
    readers: Readers,
    permit: Option<OwnedSemaphorePermit>,
    is_done: bool,
}

impl Readers {
    /// So many connections at most, opened when they are needed.
    pub(super) fn new(options: SqliteConnectOptions, most: u32, limit: Option<Duration>, patience: Duration) -> Self {
        let permits = Arc::new(Semaphore::new(usize::try_from(most.max(1)).unwrap_or(1)));
        Self(Arc::new(Shared { options, idle: Mutex::default(), permits, limit, patience }))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open(&self) -> Result<Reader, sqlx::Error> {
        let mut connection = self.0.options.connect().await?;
        let on: bool = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut connection).await?;
        if !on {
            return Err(sqlx::Error::Configuration("foreign keys are off".into()));
        }
        let deadline = Arc::new(AtomicU64::new(NEVER));
        let known = deadline.clone();
        connection.lock_handle().await?.set_progress_handler(STEPS, move || {
            let deadline = known.load(Ordering::Relaxed);
            deadline == NEVER || micros() < deadline
        });
        Ok(Reader { connection, deadline })
    }

    /// Is a connection free at this moment?
    pub(super) fn has_free(&self) -> bool {
        self.0.permits.available_permits() > 0
    }

    async fn lease(&self) -> Result<Lease, DbErr> {
        let acquire = timeout(self.0.patience, self.0.permits.clone().acquire_owned());
        let permit = acquire.await.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        self.lease_with(permit.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))?).await
    }

    async fn lease_with(&self, permit: OwnedSemaphorePermit) -> Result<Lease, DbErr> {
        let idle = self.idle().pop();
        let reader = match idle {
            Some(reader) => reader,
            None => self.open().await.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?,
        };
        let deadline = self
            .0
            .limit
            .map_or(NEVER, |limit| micros().saturating_add(u64::try_from(limit.as_micros()).unwrap_or(NEVER)));
        reader.deadline.store(deadline, Ordering::Relaxed);
        Ok(Lease { reader: Some(reader), readers: self.clone(), permit: Some(permit), is_done: false })
    }

    /// Closes what is idle; what is busy is closed when it is through, and nothing is opened any more.
    pub(super) async fn close(&self) {
        self.0.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for reader in idle {
            // What cannot be closed is gone anyway.
            let _ = reader.connection.close().await;
        }
    }

    pub(super) async fn execute(&self, statement: &Statement) -> Result<ExecResult, DbErr> {
        let mut lease = self.lease().await?;
        let outcome = lease.connection()?.execute(query(statement)).await;
        lease.done(outcome, DbErr::Exec).map(ExecResult::from)
    }

    pub(super) async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut lease = self.lease().await?;
        let outcome = lease.connection()?.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await;
        lease.done(outcome, DbErr::Exec).map(ExecResult::from)
    }

    pub(super) async fn query_one(&self, statement: &Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut lease = self.lease().await?;
        let outcome = lease.connection()?.fetch_optional(query(statement)).await;
        Ok(lease.done(outcome, DbErr::Query)?.map(QueryResult::from))
    }

    pub(super) async fn query_all(&self, statement: &Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut lease = self.lease().await?;
        let outcome = lease.connection()?.fetch_all(query(statement)).await;
        Ok(lease.done(outcome, DbErr::Query)?.into_iter().map(QueryResult::from).collect())
    }
}

fn query(statement: &Statement) -> Query<'_, Sqlite, SqlxValues> {
    let values = statement.values.clone().unwrap_or(sea_orm::Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values))
}

impl Lease {
    fn connection(&mut self) -> Result<&mut SqliteConnection, DbErr> {
        match &mut self.reader {
            Some(reader) => Ok(&mut reader.connection),
            None => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
        }
    }

    /// The statement is through.
    fn done<T>(mut self, outcome: Result<T, sqlx::Error>, kind: fn(RuntimeErr) -> DbErr) -> Result<T, DbErr> {
        self.is_done = true;
        outcome.map_err(|error| {
            if !matches!(error, sqlx::Error::Database(_) | sqlx::Error::RowNotFound) {
                // What state it is in is not worth guessing.
                self.reader = None;
            }
            kind(RuntimeErr::SqlxError(error.into()))
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut reader) = self.reader.take() else { return };
        if self.is_done {
            reader.deadline.store(NEVER, Ordering::Relaxed);
            if !self.readers.0.permits.is_closed() {
                self.readers.idle().push(reader);
            }
            return;
        }
        // Whoever has asked is gone. The connection is good again once its statement has ended.
        reader.deadline.store(AT_ONCE, Ordering::Relaxed);
        let (readers, permit) = (self.readers.clone(), self.permit.take());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let has_ended = reader.connection.ping().await;
            reader.deadline.store(NEVER, Ordering::Relaxed);
            if has_ended.is_ok() && !readers.0.permits.is_closed() {
                readers.idle().push(reader);
            }
            drop(permit);
        });
    }
}
