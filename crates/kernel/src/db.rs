//! The database: one interface to SQLite and PostgreSQL.
//!
//! Reads go to [`Db::conn`], writes through [`Db::write`]. Code above this module rarely depends on which of
//! the two databases is used.

mod checkpoint;
mod conn;
mod counts;
mod failure;
mod group_commit;
#[cfg(feature = "testing")]
mod inspect;
mod long;
mod migration;
mod notify;
mod options;
mod pipeline;
mod readers;
mod row;
mod schema;
mod script;
mod snapshot;
mod sql;
mod statistics;
mod template;
mod tx;
mod write_session;

use std::{
    future::Future,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use conn::Target;
use group_commit::GroupCommit;
use long::LongStatements;
use options::{
    ACQUIRE_TIMEOUT, LONG_EXECUTIONS, connect_options, create_private_file, invalid_url, open, postgres_options,
};
use readers::Readers;
use script::Script;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, IsolationLevel, RuntimeErr, Statement,
    TransactionTrait,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteError};
use statistics::Statements;
use tokio::sync::watch;

pub use conn::Conn;
pub(crate) use counts::KeptCount;
pub use failure::Failure;
#[cfg(feature = "testing")]
pub use inspect::PreparedStatement;
pub use migration::{Migrations, SqlMigration};
pub(crate) use notify::EVENTS;
pub use notify::{Listener, MAX_PAYLOAD, notify};
pub use options::Options;
pub use pipeline::Pipeline;
pub use row::{lock, lock_rows, lock_to_remove, store_changes};
pub use schema::{ForeignKey, OnDelete, Schema, violated_constraint};
pub use snapshot::Snapshot;
use snapshot::SnapshotTarget;
pub use sql::{Sql, cast_sum, execute, hex, id_list, json_array, json_object, row, rows, scalar, scalars};
pub(crate) use template::Texts;
pub use template::{QueryTemplate, insert, insert_only, pad_ids};
use tx::{AfterCommit, TxTarget};
pub use tx::{Deferred, Tx};
pub(crate) use tx::{EventStore, NewEvent};

/// The number of attempts for a transaction that PostgreSQL rolls back to resolve a conflict.
const MAX_ATTEMPTS: u32 = 5;

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    reader: Conn,
    /// For authentication while all other connections are busy.
    reserve: Conn,
    writer: Writer,
    statements: Arc<Statements>,
    event_store: RwLock<Option<Arc<dyn EventStore>>>,
    stored_work: watch::Sender<()>,
    /// Whether this process dispatches events.
    dispatches: AtomicBool,
}

enum Writer {
    Sqlite(Box<GroupCommit>),
    Postgres(DatabaseConnection),
}

impl Db {
    /// Opens `sqlite://path?mode=rwc` or `postgres://…` with up to `connections` connections
    /// (SQLite: readers, in addition to the one writer).
    ///
    /// # Errors
    /// If the URL is not supported or the database cannot be reached.
    pub async fn connect(url: &str, connections: u32) -> Result<Self, DbErr> {
        Self::connect_with(url, &Options { connections, statement_limit: None }).await
    }

    /// Opens a database with options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with(url: &str, options: &Options) -> Result<Self, DbErr> {
        let statements = Arc::<Statements>::default();
        let connections = options.connections;
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let pool = open(postgres_options(url, options)?, &statements).await?;
            let long = Arc::new(LongStatements::new(connections, LONG_EXECUTIONS, ACQUIRE_TIMEOUT));
            let target = Target::Postgres(pool.clone(), long);
            let reader = Conn { target, statements: statements.clone(), kept_counts: Arc::default() };
            let (reserve, writer) = (reader.clone(), Writer::Postgres(pool));
            return Ok(Self(Arc::new(Inner {
                reader,
                reserve,
                writer,
                statements,
                event_store: RwLock::default(),
                stored_work: watch::Sender::default(),
                dispatches: AtomicBool::default(),
            })));
        }
        if !url.starts_with("sqlite:") {
            return Err(DbErr::Custom("the URL must begin with sqlite:// or postgres://".to_owned()));
        }
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(DbErr::Custom(
                "an SQLite database needs a file: in-memory databases are not supported".to_owned(),
            ));
        }
        create_private_file(url)?;
        // The writer first: it creates the WAL that the readers need.
        let connect = connect_options(SqliteConnectOptions::from_str(url).map_err(invalid_url)?, false);
        let writer = Writer::Sqlite(Box::new(GroupCommit::open(connect, statements.clone(), ACQUIRE_TIMEOUT).await?));
        let kept_counts = Arc::<counts::KeptCounts>::default();
        let readers = |connections| {
            let connect = connect_options(SqliteConnectOptions::from_str(url).map_err(invalid_url)?, true);
            let target = Target::Sqlite(Readers::new(connect, connections, options.statement_limit, ACQUIRE_TIMEOUT));
            Ok::<_, DbErr>(Conn { target, statements: statements.clone(), kept_counts: kept_counts.clone() })
        };
        let (reader, reserve) = (readers(connections)?, readers(1)?);
        Ok(Self(Arc::new(Inner {
            reader,
            reserve,
            writer,
            statements,
            event_store: RwLock::default(),
            stored_work: watch::Sender::default(),
            dispatches: AtomicBool::default(),
        })))
    }

    /// The pool for reads outside of a transaction.
    pub fn conn(&self) -> &Conn {
        &self.0.reader
    }

    /// The pool for authentication: it has a reserved connection, so that requests are authenticated even while all
    /// other connections are busy.
    pub fn identity_conn(&self) -> &Conn {
        match &self.0.reader.target {
            Target::Sqlite(readers) if !readers.has_free() => &self.0.reserve,
            _ => &self.0.reader,
        }
    }

    /// Begins a transaction for reading.
    pub async fn snapshot(&self) -> Result<Snapshot, DbErr> {
        let target = match &self.0.reader.target {
            Target::Sqlite(readers) => SnapshotTarget::Sqlite(readers.begin().await?.into()),
            Target::Postgres(pool, _) => {
                let isolation = Some(IsolationLevel::RepeatableRead);
                SnapshotTarget::Postgres(pool.begin_with_config(isolation, Some(AccessMode::ReadOnly)).await?)
            }
        };
        Ok(Snapshot::new(target, self.0.statements.clone()))
    }

    fn tx(&self, target: TxTarget, has_stored_work: &Arc<AtomicBool>, after_commit: &Arc<AfterCommit>) -> Tx {
        let event_store = self.0.event_store.read().unwrap_or_else(PoisonError::into_inner).clone();
        Tx { target, event_store, has_stored_work: has_stored_work.clone(), after_commit: after_commit.clone() }
    }

    /// Changes whenever a transaction of this process that emitted an event or enqueued a message has committed.
    pub fn stored_work(&self) -> watch::Receiver<()> {
        self.0.stored_work.subscribe()
    }

    /// Records that this process dispatches events.
    pub(crate) fn set_dispatches(&self) {
        self.0.dispatches.store(true, Ordering::Relaxed);
    }

    /// Sets where the events of transactions are stored.
    pub(crate) fn set_event_store(&self, store: Arc<dyn EventStore>) {
        *self.0.event_store.write().unwrap_or_else(PoisonError::into_inner) = Some(store);
    }

    /// Listens on a PostgreSQL channel; `None` on SQLite.
    pub fn listener(&self, channel: &'static str) -> Option<Listener> {
        let Writer::Postgres(pool) = &self.0.writer else { return None };
        let options = pool.get_postgres_connection_pool().connect_options();
        Some(Listener::new((*options).clone(), channel))
    }

    /// Which database it is.
    pub fn backend(&self) -> DbBackend {
        self.0.reader.get_database_backend()
    }

    /// The number of statements executed so far.
    pub fn statements(&self) -> u64 {
        self.0.statements.count.load(Ordering::Relaxed)
    }

    /// Runs a closure in a transaction. The transaction is committed when this returns `Ok`, and rolled back when
    /// the closure returns `Err` or the future is dropped while the closure runs. (If the future is dropped during the
    /// commit, or the commit itself fails, the transaction may or may not be committed.)
    ///
    /// The closure may run more than once: PostgreSQL resolves deadlocks and serialization conflicts by rolling
    /// one transaction back. It must only use the database, since on SQLite it holds the one writer, for which others
    /// wait up to five seconds. Constraints must not be deferred: a violation would fail the commit that other
    /// transactions share.
    pub async fn write<T, E, F, Fut>(&self, run: F) -> Result<T, E>
    where
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Failure,
    {
        let mut attempt = 1;
        loop {
            match self.attempt(&run).await {
                Err(error) if attempt < MAX_ATTEMPTS && error.database().is_some_and(is_transient) => {
                    // Exponential backoff with jitter, so that the same transactions do not collide again.
                    let jitter = u64::from(std::process::id()) ^ self.statements();
                    let delay = 5 * 2_u64.pow(attempt) + jitter % 10;
                    tokio::time::sleep(Duration::from_millis(delay)).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Runs a closure in a transaction like [`write`](Self::write), and always rolls back.
    pub async fn dry_run<T, E, F, Fut>(&self, run: F) -> Result<T, E>
    where
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Failure,
    {
        match &self.0.writer {
            Writer::Postgres(pool) => {
                let tx = Arc::new(pool.begin().await?);
                let outcome = run(self.tx(TxTarget::Postgres(tx.clone()), &Arc::default(), &Arc::default())).await;
                if let Ok(tx) = Arc::try_unwrap(tx) {
                    tx.rollback().await?;
                }
                outcome
            }
            Writer::Sqlite(writer) => {
                let (part, permit) = writer.begin().await?;
                let outcome = run(self.tx(TxTarget::Sqlite(part), &Arc::default(), &Arc::default())).await;
                drop(permit); // rolls back, since it was not committed
                outcome
            }
        }
    }

    async fn attempt<T, E, F, Fut>(&self, run: &F) -> Result<T, E>
    where
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Failure,
    {
        let has_stored_work = Arc::default();
        let after_commit = Arc::<AfterCommit>::default();
        let value = match &self.0.writer {
            Writer::Postgres(pool) => {
                let tx = Arc::new(pool.begin().await?);
                let value = run(self.tx(TxTarget::Postgres(tx.clone()), &has_stored_work, &after_commit)).await?;
                let still_used = |_| DbErr::Custom("a transaction was used after its closure returned".to_owned());
                Arc::try_unwrap(tx).map_err(still_used)?.commit().await?;
                value
            }
            Writer::Sqlite(writer) => {
                let (part, permit) = writer.begin().await?;
                let value = run(self.tx(TxTarget::Sqlite(part), &has_stored_work, &after_commit)).await?;
                permit.commit().await?;
                value
            }
        };
        after_commit.run();
        if has_stored_work.load(Ordering::Relaxed) {
            self.0.stored_work.send_replace(());
            self.notify_dispatchers().await;
        }
        Ok(value)
    }

    /// Wakes the dispatchers of other processes if this one has none, such as a command.
    async fn notify_dispatchers(&self) {
        if matches!(self.0.writer, Writer::Sqlite(_)) || self.0.dispatches.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = notify(self.conn(), EVENTS, "").await {
            tracing::debug!(%error, "could not notify other processes of events");
        }
    }

    /// Writes a consistent copy of an SQLite database into a new file, while it is in use.
    ///
    /// # Errors
    /// If the database is not SQLite or the file exists.
    pub async fn copy_to(&self, path: &Path) -> Result<(), DbErr> {
        let Target::Sqlite(readers) = &self.0.reader.target else {
            return Err(DbErr::Custom("only an SQLite database can be copied; use pg_dump for PostgreSQL".to_owned()));
        };
        let path = path.to_str().ok_or_else(|| DbErr::Custom("the path is not UTF-8".to_owned()))?;
        let mut script = Script::default();
        script.push(Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO $1", [path.into()]));
        let outcome = script.run(&mut readers.open_separate().await?).await;
        outcome.error.map_or(Ok(()), |error| Err(DbErr::Exec(RuntimeErr::SqlxError(error.into()))))
    }

    /// Checks that the database is writable by a write that changes no data.
    ///
    /// # Errors
    /// If it is not: the disk is full or broken, another process holds the lock, or it is a replica.
    pub async fn check_writable(&self) -> Result<(), DbErr> {
        let statement = match self.backend() {
            // Writes the first page, even if the value stays the same.
            DbBackend::Sqlite => "PRAGMA user_version = 1",
            _ => {
                "UPDATE seaql_migrations SET applied_at = applied_at WHERE version = (SELECT min(version) FROM seaql_migrations)"
            }
        };
        self.write(|tx| async move { tx.execute_unprepared(statement).await.map(|_| ()) }).await
    }

    /// Waits for running statements and closes all connections.
    pub async fn close(&self) -> Result<(), DbErr> {
        // The writer last: the last connection that closes checkpoints the WAL.
        for conn in [&self.0.reader, &self.0.reserve] {
            if let Target::Sqlite(readers) = &conn.target {
                readers.close().await;
            }
        }
        match &self.0.writer {
            Writer::Sqlite(writer) => writer.close().await,
            Writer::Postgres(pool) => pool.close_by_ref().await,
        }
    }
}

/// The file of an SQLite database; `None` for other URLs.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let options = url.starts_with("sqlite:").then(|| SqliteConnectOptions::from_str(url).ok())??;
    Some(options.get_filename().to_owned())
}

/// The primary result code of an SQLite error (<https://sqlite.org/rescode.html>).
pub(crate) fn sqlite_code(error: &DbErr) -> Option<u32> {
    let (DbErr::Conn(RuntimeErr::SqlxError(cause))
    | DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))) = error
    else {
        return None;
    };
    sqlx_code(cause)
}

fn sqlx_code(error: &sqlx::Error) -> Option<u32> {
    let error = error.as_database_error()?.try_downcast_ref::<SqliteError>()?;
    Some(sqlx::error::DatabaseError::code(error)?.parse::<u32>().ok()? & 0xff)
}

/// Whether PostgreSQL rolled the transaction back to resolve a conflict with another one
/// (`serialization_failure`, `deadlock_detected`). A retry may succeed.
fn is_transient(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return false;
    };
    let code = cause.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("40001" | "40P01"))
}
