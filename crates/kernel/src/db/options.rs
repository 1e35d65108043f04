//! Options for opening databases.

use std::{str::FromStr, sync::Arc, time::Duration};

use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};
use sqlx::{
    ConnectOptions as _,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
};

use super::statistics::Statements;

/// How long a statement may wait for a connection or a lock before it fails.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// The number of prepared statements per PostgreSQL connection. A plan with many filters takes up to 100 KiB on the
/// server.
const POSTGRES_STATEMENTS: usize = 128;
/// After how many long executions in a row a statement counts as long-running on PostgreSQL: there only the elapsed
/// time is known, and one or two can be chance.
pub(super) const LONG_EXECUTIONS: u32 = 3;
/// Options for opening a database.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The maximum number of connections (SQLite: readers, in addition to the one writer).
    pub connections: u32,
    /// How long one statement may run; migrations may take longer.
    pub statement_limit: Option<Duration>,
}

/// Creates the file of a new database, readable only by its owner, since it contains secrets. SQLite creates the
/// WAL files with the same mode.
pub(super) fn create_private_file(url: &str) -> Result<(), DbErr> {
    let options = SqliteConnectOptions::from_str(url).map_err(invalid_url)?;
    let mut file = std::fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    // If it cannot be created, opening the database reports why.
    let _ = if url.contains("mode=rwc") { file.open(options.get_filename()).map(drop) } else { Ok(()) };
    Ok(())
}

pub(super) async fn open(options: ConnectOptions, statements: &Arc<Statements>) -> Result<DatabaseConnection, DbErr> {
    let mut connection = Database::connect(options).await?;
    let statements = statements.clone();
    connection.set_metric_callback(move |metric| {
        statements.record(metric.statement);
    });
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

/// Opens an SQLite connection.
pub(super) async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    check_foreign_keys(&mut connection).await?;
    Ok(connection)
}

async fn check_foreign_keys(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let on: bool = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(connection).await?;
    if on { Ok(()) } else { Err(sqlx::Error::Configuration("foreign keys are off".into())) }
}

pub(super) fn connect_options(sqlite: SqliteConnectOptions, read_only: bool) -> SqliteConnectOptions {
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
        .pragma("wal_autocheckpoint", "10000")
        .pragma("journal_size_limit", "67108864")
}

pub(super) fn invalid_url(error: sqlx::Error) -> DbErr {
    DbErr::Custom(error.to_string())
}

pub(super) fn postgres_options(url: &str, limits: &Options) -> Result<ConnectOptions, DbErr> {
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
