//! Connections for reads, and statistics of the executed statements.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement};

use super::{
    counts::{KeptCount, KeptCounts},
    long::{LongStatements, StatementKey},
    readers::Readers,
};

/// A pool for reads outside of a transaction: each statement runs on any free connection.
#[derive(Clone)]
pub struct Conn {
    pub(super) target: Target,
    pub(super) statements: Arc<Statements>,
    pub(super) kept_counts: Arc<KeptCounts>,
}

#[derive(Clone)]
pub(super) enum Target {
    Sqlite(Readers),
    Postgres(DatabaseConnection, Arc<LongStatements>),
}

impl Conn {
    /// Prepares to keep the result of a counting statement; `None` if it cannot be kept.
    pub(crate) async fn keep_count(&self, statement: &Statement) -> Result<Option<KeptCount>, DbErr> {
        match &self.target {
            Target::Sqlite(readers) => self.kept_counts.prepare(readers, statement).await,
            Target::Postgres(..) => Ok(None),
        }
    }

    /// The counts that were kept.
    pub(crate) fn kept_counts(&self) -> &KeptCounts {
        &self.kept_counts
    }
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

/// The statements that begin and end the part of a writer in a group commit.
pub(super) const SAVEPOINTS: [&str; 2] = ["SAVEPOINT part", "RELEASE part"];

/// Statistics of the executed statements.
#[derive(Default)]
pub(super) struct Statements {
    pub(super) count: AtomicU64,
    /// The statements, while a test records them.
    #[cfg(feature = "testing")]
    pub(super) recorded: std::sync::Mutex<Option<Vec<Statement>>>,
}

impl Statements {
    pub(super) fn record(&self, statement: &Statement) {
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
