//! Connections of SQLite for reading: each statement has a deadline, and is interrupted where nobody waits for it any
//! more. A pool of sqlx would keep a statement running, and its connection busy, until it is through.
//!
//! Each connection has a thread. One whose statement runs for long gives way to those that answer requests; so do the
//! connections on which background work reads, and those for statements that took long the last time.

use std::{
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
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

use super::long::{LongStatements, StatementKey};
use crate::background;

/// How many steps of SQLite's machine are between two looks at the clock: some tens of microseconds.
const STEPS: i32 = 1000;
/// After how many looks a statement takes long, which is some milliseconds: a measure that does not depend on what else
/// the machine does.
const LONG: u32 = 400;
/// The deadline of a statement that has none, and of a connection that is idle.
const NEVER: u64 = u64::MAX;
/// The deadline of a statement that nobody waits for.
const AT_ONCE: u64 = 0;

static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

fn micros() -> u64 {
    u64::try_from(BEGINNING.elapsed().as_micros()).unwrap_or(NEVER)
}

/// Two stacks of connections; the one that was used last is used next.
#[derive(Clone)]
pub(super) struct Readers(Arc<Shared>);

struct Shared {
    options: SqliteConnectOptions,
    /// How many are busy at most.
    most: usize,
    idle: Mutex<Idle>,
    permits: Arc<Semaphore>,
    long: LongStatements,
    /// How long one statement may run.
    limit: Option<Duration>,
    /// How long it is waited for a connection.
    patience: Duration,
}

#[derive(Default)]
struct Idle {
    usual: Vec<Reader>,
    /// Those whose thread gives way.
    patient: Vec<Reader>,
}

impl Idle {
    fn of(&mut self, is_patient: bool) -> &mut Vec<Reader> {
        if is_patient { &mut self.patient } else { &mut self.usual }
    }
}

struct Reader {
    connection: SqliteConnection,
    watch: Arc<Watch>,
}

/// What is looked at while a statement runs.
struct Watch {
    /// When the statement has to be through, in microseconds.
    deadline: AtomicU64,
    /// How many looks there were.
    looks: AtomicU32,
    /// After how many of them the thread gives way.
    most_looks: AtomicU32,
    gives_way: AtomicBool,
}

impl Watch {
    /// May the statement run on? Called on the thread of the connection.
    fn look(&self) -> bool {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        if looks >= self.most_looks.load(Ordering::Relaxed) && !self.gives_way.swap(true, Ordering::Relaxed) {
            background::give_way();
        }
        let deadline = self.deadline.load(Ordering::Relaxed);
        deadline == NEVER || micros() < deadline
    }
}

/// A connection while a statement runs on it.
struct Lease {
    reader: Option<Reader>,
    readers: Readers,
    permit: Option<OwnedSemaphorePermit>,
    statement: StatementKey,
    /// The turn of a statement that takes long.
    _turn: Option<OwnedSemaphorePermit>,
    is_done: bool,
}

impl Readers {
    /// So many connections at most, opened when they are needed.
    pub(super) fn new(
        options: SqliteConnectOptions,
        connections: u32,
        limit: Option<Duration>,
        patience: Duration,
    ) -> Self {
        let most = usize::try_from(connections.max(1)).unwrap_or(1);
        let permits = Arc::new(Semaphore::new(most));
        let long = LongStatements::new(connections, 1, patience);
        Self(Arc::new(Shared { options, most, idle: Mutex::default(), permits, long, limit, patience }))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a connection for the next who reads, as long as there are not more than can be busy.
    fn put_back(&self, reader: Reader) {
        if self.0.permits.is_closed() {
            return;
        }
        reader.watch.deadline.store(NEVER, Ordering::Relaxed);
        let mut idle = self.idle();
        let stack = idle.of(reader.watch.gives_way.load(Ordering::Relaxed));
        if stack.len() < self.0.most {
            stack.push(reader);
        }
    }

    async fn open(&self) -> Result<Reader, sqlx::Error> {
        let mut connection = self.0.options.connect().await?;
        let on: bool = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut connection).await?;
        if !on {
            return Err(sqlx::Error::Configuration("foreign keys are off".into()));
        }
        let watch = Arc::new(Watch {
            deadline: AtomicU64::new(NEVER),
            looks: AtomicU32::new(0),
            most_looks: AtomicU32::new(LONG),
            gives_way: AtomicBool::new(false),
        });
        let known = watch.clone();
        connection.lock_handle().await?.set_progress_handler(STEPS, move || known.look());
        Ok(Reader { connection, watch })
    }

    /// Is a connection free at this moment?
    pub(super) fn has_free(&self) -> bool {
        self.0.permits.available_permits() > 0
    }

    async fn lease(&self, sql: &str) -> Result<Lease, DbErr> {
        let statement = StatementKey::of(sql);
        // Before there is a connection, which whoever waits does not need.
        let turn = self.0.long.turn(statement).await?;
        let acquire = timeout(self.0.patience, self.0.permits.clone().acquire_owned());
        let permit = acquire.await.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        let permit = permit.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))?;
        let is_patient = turn.is_some() || background::gives_way();
        let idle = self.idle().of(is_patient).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => self.open().await.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?,
        };
        let limit = self.0.limit.map(|limit| u64::try_from(limit.as_micros()).unwrap_or(NEVER));
        let deadline = limit.map_or(NEVER, |limit| micros().saturating_add(limit));
        reader.watch.deadline.store(deadline, Ordering::Relaxed);
        reader.watch.looks.store(0, Ordering::Relaxed);
        reader.watch.most_looks.store(if is_patient { 0 } else { LONG }, Ordering::Relaxed);
        let (reader, readers, permit) = (Some(reader), self.clone(), Some(permit));
        Ok(Lease { reader, readers, permit, statement, _turn: turn, is_done: false })
    }

    /// Closes what is idle; what is busy is closed when it is through, and nothing is opened any more.
    pub(super) async fn close(&self) {
        self.0.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for reader in idle.usual.into_iter().chain(idle.patient) {
            // What cannot be closed is gone anyway.
            let _ = reader.connection.close().await;
        }
    }

    pub(super) async fn execute(&self, statement: &Statement) -> Result<ExecResult, DbErr> {
        let mut lease = self.lease(&statement.sql).await?;
        let outcome = lease.connection()?.execute(query(statement)).await;
        lease.done(outcome, DbErr::Exec).map(ExecResult::from)
    }

    pub(super) async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut lease = self.lease(sql).await?;
        let outcome = lease.connection()?.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await;
        lease.done(outcome, DbErr::Exec).map(ExecResult::from)
    }

    pub(super) async fn query_one(&self, statement: &Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut lease = self.lease(&statement.sql).await?;
        let outcome = lease.connection()?.fetch_optional(query(statement)).await;
        Ok(lease.done(outcome, DbErr::Query)?.map(QueryResult::from))
    }

    pub(super) async fn query_all(&self, statement: &Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut lease = self.lease(&statement.sql).await?;
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
        let was_long = reader.watch.looks.load(Ordering::Relaxed) >= LONG;
        self.readers.0.long.note(self.statement, was_long);
        if self.is_done {
            self.readers.put_back(reader);
            return;
        }
        // Whoever has asked is gone. The connection is good again once its statement has ended.
        reader.watch.deadline.store(AT_ONCE, Ordering::Relaxed);
        let (readers, permit) = (self.readers.clone(), self.permit.take());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if reader.connection.ping().await.is_ok() {
                readers.put_back(reader);
            }
            drop(permit);
        });
    }
}
