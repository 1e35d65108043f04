//! The database: one interface to SQLite and PostgreSQL.
//!
//! Reads go to [`Db::conn`], writes through [`Db::write`]. Code above this module rarely depends on which of
//! the two databases is used.

mod group_commit;
mod long;
mod migration;
mod readers;

use std::{
    future::Future,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    ExecResult, QueryResult, RuntimeErr, Statement, TransactionTrait,
};
use sea_orm_migration::{MigrationTrait, MigratorTraitSelf, SchemaManager, seaql_migrations};
use sqlx::{
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    sqlite::{
        SqliteConnectOptions, SqliteConnection, SqliteError, SqliteJournalMode, SqliteSynchronous,
        SqliteTransactionManager,
    },
};
use sqlx_core::transaction::TransactionManager;
use tokio::sync::watch;

use async_trait::async_trait;
use group_commit::{Connector, GroupCommit};
use long::{LongStatements, StatementKey};
pub use migration::SqlMigration;
use readers::Readers;

use crate::event::{Event, Subscriptions};

/// How long a statement may wait for a connection or a lock before it fails.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// The number of prepared statements per PostgreSQL connection. A plan with many filters takes up to 100 KiB on the
/// server.
const POSTGRES_STATEMENTS: usize = 128;
/// After how many long executions in a row a statement counts as long-running on PostgreSQL: there only the elapsed
/// time is known, and one or two can be chance.
const LONG_EXECUTIONS: u32 = 3;
/// The number of attempts for a transaction that PostgreSQL rolls back to resolve a conflict.
const MAX_ATTEMPTS: u32 = 5;

/// Options for opening a database.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The maximum number of connections (SQLite: readers, in addition to the one writer).
    pub connections: u32,
    /// How long one statement may run; migrations may take longer.
    pub statement_limit: Option<Duration>,
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    /// For snapshots and for reading the schema.
    pool: DatabaseConnection,
    reader: Conn,
    /// For authentication while all other connections are busy.
    reserve: Conn,
    writer: Writer,
    statements: Arc<Statements>,
    subscriptions: Arc<Subscriptions>,
}

/// A pool for reads outside of a transaction: each statement runs on any free connection.
#[derive(Clone)]
pub struct Conn {
    target: Target,
    statements: Arc<Statements>,
}

#[derive(Clone)]
enum Target {
    Sqlite(Readers),
    Postgres(DatabaseConnection, Arc<LongStatements>),
}

#[async_trait]
impl ConnectionTrait for Conn {
    fn get_database_backend(&self) -> DbBackend {
        match self.target {
            Target::Sqlite(_) => DbBackend::Sqlite,
            Target::Postgres(..) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.target {
            Target::Sqlite(readers) => {
                self.statements.record(&statement);
                readers.execute(&statement).await
            }
            Target::Postgres(pool, long) => {
                let key = StatementKey::of(&statement.sql);
                long.run(key, pool.execute_raw(statement)).await
            }
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.target {
            Target::Sqlite(readers) => readers.execute_unprepared(sql).await,
            Target::Postgres(pool, _) => pool.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.target {
            Target::Sqlite(readers) => {
                self.statements.record(&statement);
                readers.query_one(&statement).await
            }
            Target::Postgres(pool, long) => {
                let key = StatementKey::of(&statement.sql);
                long.run(key, pool.query_one_raw(statement)).await
            }
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.target {
            Target::Sqlite(readers) => {
                self.statements.record(&statement);
                readers.query_all(&statement).await
            }
            Target::Postgres(pool, long) => {
                let key = StatementKey::of(&statement.sql);
                long.run(key, pool.query_all_raw(statement)).await
            }
        }
    }
}

/// Statistics of the executed statements.
#[derive(Default)]
struct Statements {
    count: AtomicU64,
    /// The statements, while a test records them.
    #[cfg(feature = "testing")]
    recorded: std::sync::Mutex<Option<Vec<Statement>>>,
}

impl Statements {
    fn record(&self, statement: &Statement) {
        self.count.fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "testing")]
        if let Ok(mut recorded) = self.recorded.lock()
            && let Some(recorded) = recorded.as_mut()
        {
            recorded.push(statement.clone());
        }
        #[cfg(not(feature = "testing"))]
        let _ = statement;
    }
}

enum Writer {
    Sqlite(GroupCommit),
    Postgres,
}

/// An error type of [`Db::write`], which retries some database errors.
pub trait Failure: From<DbErr> {
    /// The database error that caused this one, if any.
    fn database(&self) -> Option<&DbErr>;
}

impl Failure for DbErr {
    fn database(&self) -> Option<&DbErr> {
        Some(self)
    }
}

impl Failure for crate::Error {
    fn database(&self) -> Option<&DbErr> {
        Self::database(self)
    }
}

/// An open transaction, passed to the closure of [`Db::write`].
pub struct Tx {
    conn: Arc<DatabaseTransaction>,
    subscriptions: Arc<Subscriptions>,
    has_stored_work: Arc<AtomicBool>,
}

impl Tx {
    /// The connection of the transaction.
    pub fn conn(&self) -> &DatabaseTransaction {
        &self.conn
    }

    /// Stores an event for its subscribers, which handle it after the commit. Does nothing without subscribers.
    ///
    /// # Errors
    /// If the event cannot be stored; the transaction should fail then.
    pub async fn emit<E: Event>(&self, event: &E) -> Result<(), DbErr> {
        if self.subscriptions.store(self, event).await? {
            self.wake_after_commit();
        }
        Ok(())
    }

    /// Whether anybody subscribes to an event, where it takes queries to know whether it happened.
    pub fn has_subscribers<E: Event>(&self) -> bool {
        self.subscriptions.has_subscribers(E::NAME)
    }

    /// Wakes the event dispatcher and the outbox of this process once the transaction has committed.
    pub(crate) fn wake_after_commit(&self) {
        self.has_stored_work.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        self.conn.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.conn.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.conn.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.conn.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.conn.query_all_raw(statement).await
    }
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
            let reader = Conn { target: Target::Postgres(pool.clone(), long), statements: statements.clone() };
            let (reserve, writer) = (reader.clone(), Writer::Postgres);
            return Ok(Self(Arc::new(Inner {
                pool,
                reader,
                reserve,
                writer,
                statements,
                subscriptions: Arc::default(),
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
        let connector = Connector { options: sqlite_options(url, 1, false)?, statements: statements.clone() };
        let writer = Writer::Sqlite(GroupCommit::open(connector, ACQUIRE_TIMEOUT).await?);
        let pool = open(sqlite_options(url, 2, true)?, &statements).await?;
        let readers = |connections| {
            let connect = connect_options(SqliteConnectOptions::from_str(url).map_err(invalid_url)?, true);
            let target = Target::Sqlite(Readers::new(connect, connections, options.statement_limit, ACQUIRE_TIMEOUT));
            Ok::<_, DbErr>(Conn { target, statements: statements.clone() })
        };
        let (reader, reserve) = (readers(connections)?, readers(1)?);
        Ok(Self(Arc::new(Inner { pool, reader, reserve, writer, statements, subscriptions: Arc::default() })))
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

    /// A read transaction with a consistent snapshot. Statement limits do not apply in it.
    pub async fn snapshot(&self) -> Result<DatabaseTransaction, DbErr> {
        self.0.pool.begin().await
    }

    fn tx(&self, conn: Arc<DatabaseTransaction>, has_stored_work: &Arc<AtomicBool>) -> Tx {
        Tx { conn, subscriptions: self.0.subscriptions.clone(), has_stored_work: has_stored_work.clone() }
    }

    /// Changes whenever a transaction of this process that emitted an event or enqueued a message has committed.
    pub fn stored_work(&self) -> watch::Receiver<()> {
        self.0.subscriptions.stored_work()
    }

    pub(crate) fn subscriptions(&self) -> &Subscriptions {
        &self.0.subscriptions
    }

    /// Listens on a PostgreSQL channel; `None` on SQLite.
    pub(crate) async fn listen(&self, channel: &str) -> Result<Option<PgListener>, DbErr> {
        if self.backend() != DbBackend::Postgres {
            return Ok(None);
        }
        let failed = |error: sqlx::Error| DbErr::Conn(RuntimeErr::SqlxError(error.into()));
        // A connection of its own: one of the pool would be taken away from requests, and the pool could not close.
        let options = self.0.pool.get_postgres_connection_pool().connect_options();
        let pool = PgPoolOptions::new().max_connections(1).connect_with((*options).clone()).await.map_err(failed)?;
        let mut listener = PgListener::connect_with(&pool).await.map_err(failed)?;
        listener.listen(channel).await.map_err(failed)?;
        Ok(Some(listener))
    }

    /// Which database it is.
    pub fn backend(&self) -> DbBackend {
        self.0.reader.get_database_backend()
    }

    /// The number of statements executed so far.
    pub fn statements(&self) -> u64 {
        self.0.statements.count.load(Ordering::Relaxed)
    }

    /// Records the statements from now on, and returns those recorded so far.
    #[cfg(feature = "testing")]
    pub fn record_statements(&self) -> Vec<Statement> {
        let mut recorded = self.0.statements.recorded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        recorded.replace(Vec::new()).unwrap_or_default()
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
            Writer::Postgres => {
                let tx = Arc::new(self.0.pool.begin().await?);
                let outcome = run(self.tx(tx.clone(), &Arc::default())).await;
                if let Ok(tx) = Arc::try_unwrap(tx) {
                    tx.rollback().await?;
                }
                outcome
            }
            Writer::Sqlite(writer) => {
                let (tx, permit) = writer.begin().await?;
                let outcome = run(self.tx(tx, &Arc::default())).await;
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
        let value = match &self.0.writer {
            Writer::Postgres => {
                let tx = Arc::new(self.0.pool.begin().await?);
                let value = run(self.tx(tx.clone(), &has_stored_work)).await?;
                let still_used = |_| DbErr::Custom("a transaction was used after its closure returned".to_owned());
                Arc::try_unwrap(tx).map_err(still_used)?.commit().await?;
                value
            }
            Writer::Sqlite(writer) => {
                let (tx, permit) = writer.begin().await?;
                let value = run(self.tx(tx, &has_stored_work)).await?;
                permit.commit().await?;
                value
            }
        };
        if has_stored_work.load(Ordering::Relaxed) {
            self.0.subscriptions.wake();
        }
        Ok(value)
    }

    /// Applies all pending migrations in one transaction.
    ///
    /// Several processes may start at the same time: one migrates, the others wait for it and find nothing to do. A
    /// database with an unknown migration was migrated by a newer version and is refused.
    pub async fn migrate(&self, migrations: Migrations) -> Result<(), DbErr> {
        self.with_migrator(migrations, async |migrator, tx| {
            let pending = migrator.get_pending_migrations(tx).await?.len();
            migrator.up(tx, None).await?;
            if pending > 0 {
                tracing::info!(migrations = pending, "migrations were applied");
            }
            Ok(())
        })
        .await
    }

    /// Reverts the last `steps` migrations.
    pub async fn migrate_down(&self, migrations: Migrations, steps: u32) -> Result<(), DbErr> {
        self.with_migrator(migrations, async |migrator, tx| migrator.down(tx, Some(steps)).await).await
    }

    /// Reverts all migrations and applies them again; all data is lost.
    pub async fn migrate_fresh(&self, migrations: Migrations) -> Result<(), DbErr> {
        self.with_migrator(migrations, async |migrator, tx| {
            migrator.down(tx, None).await?;
            migrator.up(tx, None).await
        })
        .await
    }

    async fn with_migrator<F>(&self, migrations: Migrations, work: F) -> Result<(), DbErr>
    where
        F: AsyncFnOnce(&Migrator, &DatabaseTransaction) -> Result<(), DbErr>,
    {
        let migrator = Migrator(migrations);
        match &self.0.writer {
            Writer::Postgres => {
                let tx = self.0.pool.begin().await?;
                // The lock id is arbitrary, but the same for every process.
                tx.execute_unprepared("SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(4711042)").await?;
                work(&migrator, &tx).await?;
                tx.commit().await
            }
            Writer::Sqlite(writer) => {
                let (tx, permit) = writer.begin().await?;
                let outcome = work(&migrator, &tx).await;
                drop(tx);
                outcome?;
                permit.commit().await
            }
        }
    }

    /// The known migrations and whether each has been applied. Unknown migrations of a newer version are ignored.
    pub async fn migration_status(&self, migrations: Migrations) -> Result<Vec<(String, bool)>, DbErr> {
        let applied = if SchemaManager::new(&self.0.pool).has_table("seaql_migrations").await? {
            seaql_migrations::Entity::find().all(self.conn()).await?
        } else {
            Vec::new()
        };
        let is_applied = |name: &str| applied.iter().any(|row| row.version == name);
        Ok(migrations().iter().map(|known| (known.name().to_owned(), is_applied(known.name()))).collect())
    }

    /// Refuses a database with an unknown migration: it was migrated by a newer version.
    pub async fn check_version(&self, migrations: Migrations) -> Result<(), DbErr> {
        if !SchemaManager::new(&self.0.pool).has_table("seaql_migrations").await? {
            return Ok(());
        }
        let known = migrations();
        let applied = seaql_migrations::Entity::find().all(self.conn()).await?;
        match applied.iter().find(|row| known.iter().all(|known| known.name() != row.version)) {
            Some(newer) => Err(DbErr::Custom(format!("the database belongs to a newer version ({})", newer.version))),
            None => Ok(()),
        }
    }

    /// Writes a consistent copy of an SQLite database into a new file, while it is in use.
    ///
    /// # Errors
    /// If the database is not SQLite or the file exists.
    pub async fn copy_to(&self, path: &Path) -> Result<(), DbErr> {
        if self.backend() != DbBackend::Sqlite {
            return Err(DbErr::Custom("only an SQLite database can be copied; use pg_dump for PostgreSQL".to_owned()));
        }
        let path = path.to_str().ok_or_else(|| DbErr::Custom("the path is not UTF-8".to_owned()))?;
        let copy = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO $1", [path.into()]);
        self.0.pool.execute_raw(copy).await.map(|_| ())
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
        self.write(|tx| async move { tx.conn().execute_unprepared(statement).await.map(|_| ()) }).await
    }

    /// Waits for running statements and closes all connections.
    pub async fn close(&self) -> Result<(), DbErr> {
        // The writer last: the last connection that closes checkpoints the WAL.
        for conn in [&self.0.reader, &self.0.reserve] {
            if let Target::Sqlite(readers) = &conn.target {
                readers.close().await;
            }
        }
        self.0.pool.close_by_ref().await?;
        if let Writer::Sqlite(writer) = &self.0.writer {
            writer.close().await?;
        }
        Ok(())
    }
}

/// Returns the migrations of a crate or of the whole product.
pub type Migrations = fn() -> Vec<Box<dyn MigrationTrait>>;

struct Migrator(Migrations);

impl MigratorTraitSelf for Migrator {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        (self.0)()
    }
}

/// The file of an SQLite database; `None` for other URLs.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let options = url.starts_with("sqlite:").then(|| SqliteConnectOptions::from_str(url).ok())??;
    Some(options.get_filename().to_owned())
}

/// Creates the file of a new database, readable only by its owner, since it contains secrets. SQLite creates the
/// WAL files with the same mode.
fn create_private_file(url: &str) -> Result<(), DbErr> {
    let options = SqliteConnectOptions::from_str(url).map_err(invalid_url)?;
    let mut file = std::fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    // If it cannot be created, opening the database reports why.
    let _ = if url.contains("mode=rwc") { file.open(options.get_filename()).map(drop) } else { Ok(()) };
    Ok(())
}

async fn open(options: ConnectOptions, statements: &Arc<Statements>) -> Result<DatabaseConnection, DbErr> {
    let mut connection = Database::connect(options).await?;
    let statements = statements.clone();
    connection.set_metric_callback(move |metric| statements.record(metric.statement));
    Ok(connection)
}

fn common_options(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .test_before_acquire_if_idle_for(Duration::from_secs(30))
        .record_stmt_in_spans(false)
        .sqlx_logging(false);
    options
}

fn sqlite_options(url: &str, connections: u32, read_only: bool) -> Result<ConnectOptions, DbErr> {
    SqliteConnectOptions::from_str(url).map_err(invalid_url)?;
    let mut options = common_options(url, connections);
    options
        .min_connections(u32::from(!read_only))
        .idle_timeout(None)
        .max_lifetime(None)
        .map_sqlx_sqlite_opts(move |sqlite| connect_options(sqlite, read_only))
        // A single closure: SeaORM only uses the last one.
        .map_sqlx_sqlite_pool_opts(|pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async move {
                    let on: bool = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(connection).await?;
                    if on { Ok(()) } else { Err(sqlx::Error::Configuration("foreign keys are off".into())) }
                })
            })
            // On a connection that sqlx believes to be in a transaction, `begin` would only set a savepoint.
            .after_release(|connection, _| Box::pin(async move { Ok(is_idle(connection)) }))
            .before_acquire(|connection, _| Box::pin(async move { Ok(is_idle(connection)) }))
        });
    Ok(options)
}

fn connect_options(sqlite: SqliteConnectOptions, read_only: bool) -> SqliteConnectOptions {
    let sqlite = sqlite
        .foreign_keys(true)
        .busy_timeout(ACQUIRE_TIMEOUT)
        .pragma("cache_size", "-16000")
        .pragma("temp_store", "MEMORY")
        .statement_cache_capacity(256);
    if read_only {
        return sqlite.read_only(true).pragma("mmap_size", "268435456");
    }
    sqlite
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", "67108864")
}

fn invalid_url(error: sqlx::Error) -> DbErr {
    DbErr::Custom(error.to_string())
}

/// Whether sqlx believes that no transaction is open.
fn is_idle(connection: &SqliteConnection) -> bool {
    SqliteTransactionManager::get_transaction_depth(connection) == 0
}

/// The primary result code of an SQLite error (<https://sqlite.org/rescode.html>).
pub(crate) fn sqlite_code(error: &DbErr) -> Option<u32> {
    let (DbErr::Conn(RuntimeErr::SqlxError(cause))
    | DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))) = error
    else {
        return None;
    };
    let error = cause.as_database_error()?.try_downcast_ref::<SqliteError>()?;
    Some(sqlx::error::DatabaseError::code(error)?.parse::<u32>().ok()? & 0xff)
}

fn postgres_options(url: &str, limits: &Options) -> Result<ConnectOptions, DbErr> {
    PgConnectOptions::from_str(url).map_err(invalid_url)?;
    let mut options = common_options(url, limits.connections);
    let limit = limits.statement_limit.map_or(0, |limit| limit.as_millis());
    // With a bound LIMIT, PostgreSQL would otherwise plan every execution again. The cost estimate of a generic plan
    // is so high, though, that it would trigger JIT compilation, which takes longer than the query.
    options.map_sqlx_postgres_opts(move |postgres| {
        postgres
            .options([("plan_cache_mode", "force_generic_plan"), ("jit", "off")])
            .options([("statement_timeout", limit)])
            .statement_cache_capacity(POSTGRES_STATEMENTS)
    });
    Ok(options)
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
