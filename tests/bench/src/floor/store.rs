//! SQLite and PostgreSQL through plain sqlx, with the kernel's settings.

use std::{str::FromStr, time::Duration};

use anyhow::{Context, anyhow};
use sqlx::{
    ConnectOptions, Connection, Decode, Postgres, Row as _, SqlSafeStr, Sqlite, Type,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow},
    sqlite::{
        SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
        SqliteSynchronous,
    },
};
use tokio::sync::{mpsc, oneshot};

use super::writes::Write;

/// Timeout for a connection or a lock.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of writes that share a commit.
const BATCH: usize = 64;
/// Size of the prepared-statement cache of a connection.
const STATEMENT_CACHE: usize = 256;

/// A bind value.
#[derive(Clone, Copy)]
pub(super) enum Arg<'a> {
    Int(i64),
    Flag(bool),
    Text(&'a str),
    OptionalText(Option<&'a str>),
    Bytes(&'a [u8]),
}

/// Prepares a statement and binds its values.
macro_rules! query {
    ($database:ty, $sql:expr, $args:expr) => {{
        let mut query = sqlx::query::<$database>($sql);
        for arg in $args {
            query = match *arg {
                Arg::Int(value) => query.bind(value),
                Arg::Flag(value) => query.bind(value),
                Arg::Text(value) => query.bind(value),
                Arg::OptionalText(value) => query.bind(value),
                Arg::Bytes(value) => query.bind(value),
            };
        }
        query
    }};
}

/// A type that can be read from a row of either database.
pub(super) trait Readable:
    for<'r> Decode<'r, Sqlite> + for<'r> Decode<'r, Postgres> + Type<Sqlite> + Type<Postgres>
{
}

impl<T> Readable for T
where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
    T: for<'r> Decode<'r, Postgres> + Type<Postgres>,
{
}

/// A row of either database.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of a column.
    pub(super) fn get<T: Readable>(&self, column: usize) -> sqlx::Result<T> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}

/// A connection to either database.
pub(super) enum Conn<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Conn<'_> {
    /// PostgreSQL has row locks and `LATERAL`, SQLite does not.
    pub(super) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// All rows of a query.
    pub(super) async fn all(&mut self, sql: impl SqlSafeStr, args: &[Arg<'_>]) -> sqlx::Result<Vec<Row>> {
        Ok(match self {
            Self::Sqlite(conn) => {
                let rows = query!(Sqlite, sql, args).fetch_all(&mut **conn).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(conn) => {
                let rows = query!(Postgres, sql, args).fetch_all(&mut **conn).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// The single row of a query.
    pub(super) async fn one(&mut self, sql: &'static str, args: &[Arg<'_>]) -> sqlx::Result<Row> {
        match self {
            Self::Sqlite(conn) => query!(Sqlite, sql, args).fetch_one(&mut **conn).await.map(Row::Sqlite),
            Self::Postgres(conn) => query!(Postgres, sql, args).fetch_one(&mut **conn).await.map(Row::Postgres),
        }
    }

    /// Runs a statement. Returns the number of changed rows.
    pub(super) async fn run(&mut self, sql: &'static str, args: &[Arg<'_>]) -> sqlx::Result<u64> {
        Ok(match self {
            Self::Sqlite(conn) => query!(Sqlite, sql, args).execute(&mut **conn).await?.rows_affected(),
            Self::Postgres(conn) => query!(Postgres, sql, args).execute(&mut **conn).await?.rows_affected(),
        })
    }
}

/// A pooled connection.
pub(super) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Reader {
    pub(super) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(connection) => Conn::Sqlite(connection),
            Self::Postgres(connection) => Conn::Postgres(connection),
        }
    }
}

/// A database. Writes are durable when they return.
pub(super) enum Store {
    /// A single connection writes; writes that arrive during a commit share the next one.
    Sqlite {
        readers: SqlitePool,
        writer: mpsc::Sender<Job>,
    },
    Postgres(PgPool),
}

/// A queued write. If it fails, its channel is closed.
pub(super) struct Job {
    write: Write,
    done: oneshot::Sender<Vec<Row>>,
}

impl Store {
    pub(super) async fn open(url: &str, connections: u32) -> anyhow::Result<Self> {
        if url.starts_with("sqlite:") {
            Self::sqlite(url, connections).await
        } else {
            Self::postgres(url, connections).await
        }
    }

    async fn sqlite(url: &str, connections: u32) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::from_str(url)?
            .foreign_keys(true)
            .busy_timeout(WAIT_TIMEOUT)
            .pragma("cache_size", "-16000")
            .pragma("temp_store", "MEMORY")
            .statement_cache_capacity(STATEMENT_CACHE)
            .disable_statement_logging();
        let writer = options.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let writer = writer.pragma("journal_size_limit", "67108864").connect().await?;
        let reader = options.read_only(true).pragma("mmap_size", "268435456");
        let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(WAIT_TIMEOUT);
        let readers = pool.test_before_acquire(false).connect_with(reader).await?;
        let (sender, queue) = mpsc::channel(BATCH);
        tokio::spawn(run_writer(writer, queue));
        Ok(Self::Sqlite { readers, writer: sender })
    }

    async fn postgres(url: &str, connections: u32) -> anyhow::Result<Self> {
        let options = PgConnectOptions::from_str(url)?
            .options([("plan_cache_mode", "force_generic_plan"), ("jit", "off")])
            .statement_cache_capacity(STATEMENT_CACHE)
            .disable_statement_logging();
        let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(WAIT_TIMEOUT);
        Ok(Self::Postgres(pool.test_before_acquire(false).connect_with(options).await?))
    }

    /// A connection for reads.
    pub(super) async fn read(&self) -> sqlx::Result<Reader> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Reader::Sqlite(readers.acquire().await?),
            Self::Postgres(pool) => Reader::Postgres(pool.acquire().await?),
        })
    }

    /// Runs a write in a transaction. Returns its rows after the commit.
    pub(super) async fn write(&self, write: Write) -> anyhow::Result<Vec<Row>> {
        match self {
            Self::Sqlite { writer, .. } => {
                let (done, committed) = oneshot::channel();
                writer.send(Job { write, done }).await.map_err(|_| anyhow!("the writer has stopped"))?;
                committed.await.context("the write failed")
            }
            Self::Postgres(pool) => {
                let mut tx = pool.begin().await?;
                let rows = write.run(&mut Conn::Postgres(&mut tx)).await?;
                tx.commit().await?;
                Ok(rows)
            }
        }
    }
}

/// Commits the queued writes in batches.
async fn run_writer(mut connection: SqliteConnection, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut jobs, BATCH).await > 0 {
        match commit_batch(&mut connection, &jobs).await {
            Ok(outcomes) => {
                for (job, rows) in jobs.drain(..).zip(outcomes) {
                    let _ = job.done.send(rows);
                }
            }
            Err(error) => {
                tracing::error!(%error, "{} writes failed", jobs.len());
                jobs.clear();
            }
        }
    }
}

async fn commit_batch(connection: &mut SqliteConnection, jobs: &[Job]) -> sqlx::Result<Vec<Vec<Row>>> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        outcomes.push(job.write.run(&mut Conn::Sqlite(&mut tx)).await?);
    }
    tx.commit().await?;
    Ok(outcomes)
}
