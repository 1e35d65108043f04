//! The database: SQLite or PostgreSQL behind one door.
//!
//! Reads go to [`Db::conn`], writes through [`Db::write`]. Nothing above this module knows which
//! of the two databases it speaks to.

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
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    ExecResult, QueryResult, RuntimeErr, Statement, TransactionTrait,
};
use sea_orm_migration::{MigrationTrait, MigratorTraitSelf, SchemaManager, seaql_migrations};
use sqlx::{
    postgres::PgConnectOptions,
    sqlite::{
        SqliteConnectOptions, SqliteConnection, SqliteError, SqliteJournalMode, SqliteSynchronous,
        SqliteTransactionManager,
    },
};
use sqlx_core::transaction::TransactionManager;

use async_trait::async_trait;
use group_commit::{Connector, GroupCommit};
use long::{LongStatements, StatementKey};
pub use migration::SqlMigration;
use readers::Readers;

/// How long a statement may wait for a connection or a lock before the request is refused.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many statements a connection to PostgreSQL keeps prepared. A plan with many filters takes up to 100 KiB there.
const POSTGRES_STATEMENTS: usize = 128;
/// How often in a row a statement has to take long on PostgreSQL until it is one that does: there it is known only by the
/// clock, and once or twice can be chance.
const LONG_TIMES: u32 = 3;
/// How often a transaction is run again that PostgreSQL rolled back to resolve a conflict.
const ATTEMPTS: u32 = 5;

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections at most (SQLite: readers, beside the one writer).
    pub connections: u32,
    /// How long one statement may run; migrations may take longer.
    pub statement_limit: Option<Duration>,
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    /// For snapshots, and for what reads the schema.
    pool: DatabaseConnection,
    reader: Conn,
    /// For whoever asks who somebody is, where everything else is busy.
    reserve: Conn,
    writer: Writer,
    statements: Arc<Statements>,
}

/// Where reads go that belong to no transaction: each statement to a connection that is free.
#[derive(Clone)]
pub struct Conn {
    to: Target,
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
        match self.to {
            Target::Sqlite(_) => DbBackend::Sqlite,
            Target::Postgres(..) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.to {
            Target::Sqlite(readers) => {
                self.statements.note(&statement);
                readers.execute(&statement).await
            }
            Target::Postgres(pool, long) => {
                let key = StatementKey::of(&statement.sql);
                long.watch(key, pool.execute_raw(statement)).await
            }
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.to {
            Target::Sqlite(readers) => readers.execute_unprepared(sql).await,
            Target::Postgres(pool, _) => pool.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.to {
            Target::Sqlite(readers) => {
                self.statements.note(&statement);
                readers.query_one(&statement).await
            }
            Target::Postgres(pool, long) => {
                let key = StatementKey::of(&statement.sql);
                long.watch(key, pool.query_one_raw(statement)).await
            }
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.to {
            Target::Sqlite(readers) => {
                self.statements.note(&statement);
                readers.query_all(&statement).await
            }
            Target::Postgres(pool, long) => {
                let key = StatementKey::of(&statement.sql);
                long.watch(key, pool.query_all_raw(statement)).await
            }
        }
    }
}

/// What has been run.
#[derive(Default)]
struct Statements {
    count: AtomicU64,
    /// The statements themselves, while somebody wants to see them.
    #[cfg(feature = "testing")]
    kept: std::sync::Mutex<Option<Vec<Statement>>>,
}

impl Statements {
    fn note(&self, statement: &Statement) {
        self.count.fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "testing")]
        if let Ok(mut kept) = self.kept.lock()
            && let Some(kept) = kept.as_mut()
        {
            kept.push(statement.clone());
        }
        #[cfg(not(feature = "testing"))]
        let _ = statement;
    }
}

enum Writer {
    Sqlite(GroupCommit),
    Postgres,
}

/// What can fail inside a transaction: tells the cause, if it came from the database.
pub trait Failure: From<DbErr> {
    /// The database's error, if it was one.
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

/// A transaction that is open. Handed to the closure of [`Db::write`]; every query that belongs to
/// the act goes through [`Tx::conn`].
pub struct Tx(Arc<DatabaseTransaction>);

impl Tx {
    /// The connection that the transaction is open on.
    pub fn conn(&self) -> &DatabaseTransaction {
        &self.0
    }
}

impl Db {
    /// Opens `sqlite://path?mode=rwc` or `postgres://…` with up to `connections` connections
    /// (SQLite: readers, beside the one writer).
    ///
    /// # Errors
    /// When the address is of no known kind, or the database cannot be reached.
    pub async fn connect(url: &str, connections: u32) -> Result<Self, DbErr> {
        Self::connect_with(url, &Options { connections, statement_limit: None }).await
    }

    /// Opens a database with limits.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with(url: &str, options: &Options) -> Result<Self, DbErr> {
        let statements = Arc::<Statements>::default();
        let connections = options.connections;
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let pool = open(postgres_options(url, options)?, &statements).await?;
            let long = Arc::new(LongStatements::new(connections, LONG_TIMES, PATIENCE));
            let reader = Conn { to: Target::Postgres(pool.clone(), long), statements: statements.clone() };
            let (reserve, writer) = (reader.clone(), Writer::Postgres);
            return Ok(Self(Arc::new(Inner { pool, reader, reserve, writer, statements })));
        }
        if !url.starts_with("sqlite:") {
            return Err(DbErr::Custom("the address must begin with sqlite:// or postgres://".to_owned()));
        }
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(DbErr::Custom(
                "an SQLite database needs a file: its readers and its writer share it".to_owned(),
            ));
        }
        private_file(url)?;
        // The writer first: it makes the tables and the log that the readers need.
        let connector = Connector { options: sqlite_options(url, 1, false)?, statements: statements.clone() };
        let writer = Writer::Sqlite(GroupCommit::open(connector, PATIENCE).await?);
        let pool = open(sqlite_options(url, 2, true)?, &statements).await?;
        let readers = |most| {
            let connect = connect_options(SqliteConnectOptions::from_str(url).map_err(unusable)?, true);
            let to = Target::Sqlite(Readers::new(connect, most, options.statement_limit, PATIENCE));
            Ok::<_, DbErr>(Conn { to, statements: statements.clone() })
        };
        let (reader, reserve) = (readers(connections)?, readers(1)?);
        Ok(Self(Arc::new(Inner { pool, reader, reserve, writer, statements })))
    }

    /// Where reads go that belong to no transaction.
    pub fn conn(&self) -> &Conn {
        &self.0.reader
    }

    /// Where the read goes by which it is found out who is asking: also while every other connection is busy with what
    /// somebody has asked for.
    pub fn identity_conn(&self) -> &Conn {
        match &self.0.reader.to {
            Target::Sqlite(readers) if !readers.has_free() => &self.0.reserve,
            _ => &self.0.reader,
        }
    }

    /// A transaction for reading, in which everything is as it was at its beginning. Limits on statements do not hold
    /// in it.
    pub async fn snapshot(&self) -> Result<DatabaseTransaction, DbErr> {
        self.0.pool.begin().await
    }

    /// Which of the two databases it is.
    pub fn backend(&self) -> DbBackend {
        self.0.reader.get_database_backend()
    }

    /// How many statements have been run through this handle.
    pub fn statements(&self) -> u64 {
        self.0.statements.count.load(Ordering::Relaxed)
    }

    /// Keeps the statements that are run from now on, and gives those kept so far.
    #[cfg(feature = "testing")]
    pub fn keep_statements(&self) -> Vec<Statement> {
        let mut kept = self.0.statements.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.replace(Vec::new()).unwrap_or_default()
    }

    /// Runs one act as one transaction: everything in it is stored when this returns `Ok`, and
    /// nothing of it when the act returns `Err` or is dropped before it is through. (Dropped while
    /// it waits for the commit, it may be stored; so may an act whose commit failed half way.)
    ///
    /// The closure may be run more than once: PostgreSQL resolves deadlocks and serialisation
    /// conflicts by rolling one side back. It must do nothing but talk to the database, since on
    /// SQLite it holds the one writer. Who has not got it after five seconds is refused. Foreign keys are never deferred, so that an act that was
    /// let through cannot fail the commit that it shares with others.
    pub async fn write<T, E, F, Fut>(&self, act: F) -> Result<T, E>
    where
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Failure,
    {
        let mut attempt = 1;
        loop {
            match self.attempt(&act).await {
                Err(error) if attempt < ATTEMPTS && error.database().is_some_and(is_transient) => {
                    // Longer each time, and not the same for all, or the same ones meet again.
                    let spread = u64::from(std::process::id()) ^ self.statements();
                    let pause = 5 * 2_u64.pow(attempt) + spread % 10;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Runs an act as [`write`](Self::write) would, and takes all of it back whatever comes of it.
    pub async fn rehearse<T, E, F, Fut>(&self, act: F) -> Result<T, E>
    where
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Failure,
    {
        match &self.0.writer {
            Writer::Postgres => {
                let tx = Arc::new(self.0.pool.begin().await?);
                let outcome = act(Tx(tx.clone())).await;
                if let Ok(tx) = Arc::try_unwrap(tx) {
                    tx.rollback().await?;
                }
                outcome
            }
            Writer::Sqlite(writer) => {
                let (part, turn) = writer.begin().await?;
                let outcome = act(Tx(part)).await;
                drop(turn); // taken back, since nobody has asked to keep it
                outcome
            }
        }
    }

    async fn attempt<T, E, F, Fut>(&self, act: &F) -> Result<T, E>
    where
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Failure,
    {
        match &self.0.writer {
            Writer::Postgres => {
                let tx = Arc::new(self.0.pool.begin().await?);
                let value = act(Tx(tx.clone())).await?;
                let kept = |_| DbErr::Custom("a transaction was kept beyond its act".to_owned());
                Arc::try_unwrap(tx).map_err(kept)?.commit().await?;
                Ok(value)
            }
            Writer::Sqlite(writer) => {
                let (part, turn) = writer.begin().await?;
                let value = act(Tx(part)).await?;
                turn.commit().await?;
                Ok(value)
            }
        }
    }

    /// Brings the tables up to date, all pending migrations in one transaction.
    ///
    /// Several processes may start at once: one migrates, the others wait for it and find nothing
    /// left to do. A database that holds a migration that this program does not know comes from a
    /// newer version and is refused.
    pub async fn migrate(&self, migrations: Migrations) -> Result<(), DbErr> {
        self.with_migrator(migrations, async |migrator, tx| {
            let pending = migrator.get_pending_migrations(tx).await?.len();
            migrator.up(tx, None).await?;
            if pending > 0 {
                tracing::info!(migrations = pending, "the tables were brought up to date");
            }
            Ok(())
        })
        .await
    }

    /// Takes back the last `steps` migrations.
    pub async fn migrate_down(&self, migrations: Migrations, steps: u32) -> Result<(), DbErr> {
        self.with_migrator(migrations, async |migrator, tx| migrator.down(tx, Some(steps)).await).await
    }

    /// Takes back every migration and applies them all again; everything stored is lost.
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
                // Any number will do, as long as every process takes the same.
                tx.execute_unprepared("SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(4711042)").await?;
                work(&migrator, &tx).await?;
                tx.commit().await
            }
            Writer::Sqlite(writer) => {
                let (part, turn) = writer.begin().await?;
                let outcome = work(&migrator, &part).await;
                drop(part);
                outcome?;
                turn.commit().await
            }
        }
    }

    /// The known migrations and whether each has been applied, without changing anything. Those of a
    /// newer version that may have run meanwhile are passed over.
    pub async fn migration_status(&self, migrations: Migrations) -> Result<Vec<(String, bool)>, DbErr> {
        let applied = if SchemaManager::new(&self.0.pool).has_table("seaql_migrations").await? {
            seaql_migrations::Entity::find().all(self.conn()).await?
        } else {
            Vec::new()
        };
        let state = |name: &str| applied.iter().any(|row| row.version == name);
        Ok(migrations().iter().map(|known| (known.name().to_owned(), state(known.name()))).collect())
    }

    /// Refuses a database that holds a migration which is not known: a newer version has made it.
    pub async fn check_version(&self, migrations: Migrations) -> Result<(), DbErr> {
        if !SchemaManager::new(&self.0.pool).has_table("seaql_migrations").await? {
            return Ok(());
        }
        let known = migrations();
        let applied = seaql_migrations::Entity::find().all(self.conn()).await?;
        match applied.iter().find(|row| known.iter().all(|known| known.name() != row.version)) {
            Some(newer) => Err(DbErr::Custom(format!("a newer version has made it ({})", newer.version))),
            None => Ok(()),
        }
    }

    /// Writes a consistent copy of an embedded database into a new file, while it is in use.
    ///
    /// # Errors
    /// Where the database is not embedded, or the file exists.
    pub async fn copy_to(&self, path: &Path) -> Result<(), DbErr> {
        if self.backend() != DbBackend::Sqlite {
            return Err(DbErr::Custom("only an embedded database is copied; PostgreSQL has pg_dump".to_owned()));
        }
        let path = path.to_str().ok_or_else(|| DbErr::Custom("the path is not UTF-8".to_owned()))?;
        let copy = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO $1", [path.into()]);
        self.0.pool.execute_raw(copy).await.map(|_| ())
    }

    /// Stores something, so that a database that can be read and not written is noticed. Nothing that is
    /// stored changes by it.
    ///
    /// # Errors
    /// Where it cannot be written: the disk is full or broken, another process keeps the lock, it is a replica.
    pub async fn check_writable(&self) -> Result<(), DbErr> {
        let statement = match self.backend() {
            // Writes the first page, also where the number stays the same.
            DbBackend::Sqlite => "PRAGMA user_version = 1",
            _ => {
                "UPDATE seaql_migrations SET applied_at = applied_at WHERE version = (SELECT min(version) FROM seaql_migrations)"
            }
        };
        self.write(|tx| async move { tx.conn().execute_unprepared(statement).await.map(|_| ()) }).await
    }

    /// Waits for what is under way and closes every connection.
    pub async fn close(&self) -> Result<(), DbErr> {
        // The readers first: the writer, as the last one, then folds the log into the file.
        for conn in [&self.0.reader, &self.0.reserve] {
            if let Target::Sqlite(readers) = &conn.to {
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

/// Makes the migrations of a crate or of the whole product.
pub type Migrations = fn() -> Vec<Box<dyn MigrationTrait>>;

struct Migrator(Migrations);

impl MigratorTraitSelf for Migrator {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        (self.0)()
    }
}

/// The file of an embedded database; none where the address is of another kind.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let options = url.starts_with("sqlite:").then(|| SqliteConnectOptions::from_str(url).ok())??;
    Some(options.get_filename().to_owned())
}

/// Makes the file of a new database, for its owner's eyes only: it holds secrets. SQLite gives the
/// files that it puts beside it the same mode.
fn private_file(url: &str) -> Result<(), DbErr> {
    let options = SqliteConnectOptions::from_str(url).map_err(unusable)?;
    let mut file = std::fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    // Where it cannot be made, opening it says why.
    let _ = if url.contains("mode=rwc") { file.open(options.get_filename()).map(drop) } else { Ok(()) };
    Ok(())
}

async fn open(options: ConnectOptions, statements: &Arc<Statements>) -> Result<DatabaseConnection, DbErr> {
    let mut connection = Database::connect(options).await?;
    let statements = statements.clone();
    connection.set_metric_callback(move |run| statements.note(run.statement));
    Ok(connection)
}

fn common_options(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .test_before_acquire_if_idle_for(Duration::from_secs(30))
        .record_stmt_in_spans(false)
        .sqlx_logging(false);
    options
}

fn sqlite_options(url: &str, connections: u32, read_only: bool) -> Result<ConnectOptions, DbErr> {
    SqliteConnectOptions::from_str(url).map_err(unusable)?;
    let mut options = common_options(url, connections);
    options
        .min_connections(u32::from(!read_only))
        .idle_timeout(None)
        .max_lifetime(None)
        .map_sqlx_sqlite_opts(move |sqlite| connect_options(sqlite, read_only))
        // One closure for all: SeaORM keeps only the last that it is given.
        .map_sqlx_sqlite_pool_opts(|pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async move {
                    let on: bool = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(connection).await?;
                    if on { Ok(()) } else { Err(sqlx::Error::Configuration("foreign keys are off".into())) }
                })
            })
            // A connection on which sqlx counts a transaction as open would set savepoints for ever after.
            .after_release(|connection, _| Box::pin(async move { Ok(is_idle(connection)) }))
            .before_acquire(|connection, _| Box::pin(async move { Ok(is_idle(connection)) }))
        });
    Ok(options)
}

fn connect_options(sqlite: SqliteConnectOptions, read_only: bool) -> SqliteConnectOptions {
    let sqlite = sqlite
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
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

fn unusable(error: sqlx::Error) -> DbErr {
    DbErr::Custom(error.to_string())
}

/// Does sqlx count no transaction as open?
fn is_idle(connection: &SqliteConnection) -> bool {
    SqliteTransactionManager::get_transaction_depth(connection) == 0
}

/// SQLite's primary result code of an error that came from it (<https://sqlite.org/rescode.html>).
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
    PgConnectOptions::from_str(url).map_err(unusable)?;
    let mut options = common_options(url, limits.connections);
    let limit = limits.statement_limit.map_or(0, |limit| limit.as_millis());
    // With a bound LIMIT the planner would otherwise plan every execution anew. A plan for any LIMIT looks
    // dear, though, and PostgreSQL would compile it each time, which takes longer than running it.
    options.map_sqlx_postgres_opts(move |postgres| {
        postgres
            .options([("plan_cache_mode", "force_generic_plan"), ("jit", "off")])
            .options([("statement_timeout", limit)])
            .statement_cache_capacity(POSTGRES_STATEMENTS)
    });
    Ok(options)
}

/// Did PostgreSQL roll the transaction back to resolve a conflict with another one
/// (`serialization_failure`, `deadlock_detected`)? Then the same act may succeed if run again.
fn is_transient(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return false;
    };
    let code = cause.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("40001" | "40P01"))
}
