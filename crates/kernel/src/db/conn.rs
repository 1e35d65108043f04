//! Connections for reads.

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement};

use super::{
    counts::{KeptCount, KeptCounts},
    long::{LongStatements, StatementKey},
    readers::Readers,
    script::Executed,
    statistics::Statements,
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

    /// Executes statements together; only SQLite can.
    pub(super) async fn execute_all(&self, statements: Vec<Statement>) -> Result<Vec<Executed>, DbErr> {
        match &self.target {
            Target::Sqlite(readers) => {
                for statement in &statements {
                    self.statements.record(statement);
                }
                readers.execute_all(statements).await
            }
            Target::Postgres(..) => Err(DbErr::BackendNotSupported { db: "PostgreSQL", ctx: "execute_all" }),
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
