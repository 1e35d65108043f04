//! SQLite and PostgreSQL through plain sqlx, with the settings that the kernel gives them.

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

use super::acts::Act;

/// How long a statement may wait for a connection or a lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many writes share a commit at most.
const BATCH: usize = 64;
/// How many statements a connection keeps prepared.
const PREPARED: usize = 256;

/// A value to be bound.
#[derive(Clone, Copy)]
pub(super) enum Arg<'a> {
    Int(i64),
    Flag(bool),
    Text(&'a str),
    Maybe(Option<&'a str>),
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
                Arg::Maybe(value) => query.bind(value),
                Arg::Bytes(value) => query.bind(value),
            };
        }
        query
    }};
}

/// What can be read from a row of either database.
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

/// A connection to either database. They understand the same statements, but for a few.
pub(super) enum Link<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Link<'_> {
    /// Locks rows and takes `LATERAL`, which SQLite does not.
    pub(super) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// All rows of a query.
    pub(super) async fn all(&mut self, sql: impl SqlSafeStr, args: &[Arg<'_>]) -> sqlx::Result<Vec<Row>> {
        Ok(match self {
            Self::Sqlite(link) => {
                let rows = query!(Sqlite, sql, args).fetch_all(&mut **link).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(link) => {
                let rows = query!(Postgres, sql, args).fetch_all(&mut **link).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// The one row of a query.
    pub(super) async fn one(&mut self, sql: &'static str, args: &[Arg<'_>]) -> sqlx::Result<Row> {
        match self {
            Self::Sqlite(link) => query!(Sqlite, sql, args).fetch_one(&mut **link).await.map(Row::Sqlite),
            Self::Postgres(link) => query!(Postgres, sql, args).fetch_one(&mut **link).await.map(Row::Postgres),
        }
    }

    /// Runs a statement, and says how many rows it changed.
    pub(super) async fn run(&mut self, sql: &'static str, args: &[Arg<'_>]) -> sqlx::Result<u64> {
        Ok(match self {
            Self::Sqlite(link) => query!(Sqlite, sql, args).execute(&mut **link).await?.rows_affected(),
            Self::Postgres(link) => query!(Postgres, sql, args).execute(&mut **link).await?.rows_affected(),
        })
    }
}

/// A connection out of the pool.
pub(super) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Reader {
    pub(super) fn link(&mut self) -> Link<'_> {
        match self {
            Self::Sqlite(connection) => Link::Sqlite(connection),
            Self::Postgres(connection) => Link::Postgres(connection),
        }
    }
}

/// A database: many readers, and writes that are stored for good once they return.
pub(super) enum Store {
    /// One connection writes; whoever comes while it commits shares the next commit.
    Sqlite {
        readers: SqlitePool,
        writer: mpsc::Sender<Job>,
    },
    Postgres(PgPool),
}

/// A write that waits for its commit. Without one, its channel ends.
pub(super) struct Job {
    act: Act,
    stored: oneshot::Sender<Vec<Row>>,
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
            .busy_timeout(PATIENCE)
            .pragma("cache_size", "-16000")
            .pragma("temp_store", "MEMORY")
            .statement_cache_capacity(PREPARED)
            .disable_statement_logging();
        let writer = options.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let writer = writer.pragma("journal_size_limit", "67108864").connect().await?;
        let reader = options.read_only(true).pragma("mmap_size", "268435456");
        let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE);
        let readers = pool.test_before_acquire(false).connect_with(reader).await?;
        let (sender, queue) = mpsc::channel(BATCH);
        tokio::spawn(keep_writing(writer, queue));
        Ok(Self::Sqlite { readers, writer: sender })
    }

    async fn postgres(url: &str, connections: u32) -> anyhow::Result<Self> {
        let options = PgConnectOptions::from_str(url)?
            .options([("plan_cache_mode", "force_generic_plan"), ("jit", "off")])
            .statement_cache_capacity(PREPARED)
            .disable_statement_logging();
        let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE);
        Ok(Self::Postgres(pool.test_before_acquire(false).connect_with(options).await?))
    }

    /// A connection to read on.
    pub(super) async fn read(&self) -> sqlx::Result<Reader> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Reader::Sqlite(readers.acquire().await?),
            Self::Postgres(pool) => Reader::Postgres(pool.acquire().await?),
        })
    }

    /// Runs an act as a transaction, and returns what it read once it is stored.
    pub(super) async fn write(&self, act: Act) -> anyhow::Result<Vec<Row>> {
        match self {
            Self::Sqlite { writer, .. } => {
                let (stored, wait) = oneshot::channel();
                writer.send(Job { act, stored }).await.map_err(|_| anyhow!("nobody writes any more"))?;
                wait.await.context("the write was not stored")
            }
            Self::Postgres(pool) => {
                let mut tx = pool.begin().await?;
                let rows = act.run(&mut Link::Postgres(&mut tx)).await?;
                tx.commit().await?;
                Ok(rows)
            }
        }
    }
}

/// Takes as many writes as have come, up to a limit, into one transaction.
async fn keep_writing(mut connection: SqliteConnection, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut jobs, BATCH).await > 0 {
        match store(&mut connection, &jobs).await {
            Ok(outcomes) => {
                for (job, rows) in jobs.drain(..).zip(outcomes) {
                    let _ = job.stored.send(rows);
                }
            }
            Err(error) => {
                tracing::error!(%error, "{} writes were not stored", jobs.len());
                jobs.clear();
            }
        }
    }
}

async fn store(connection: &mut SqliteConnection, jobs: &[Job]) -> sqlx::Result<Vec<Vec<Row>>> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        outcomes.push(job.act.run(&mut Link::Sqlite(&mut tx)).await?);
    }
    tx.commit().await?;
    Ok(outcomes)
}
