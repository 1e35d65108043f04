//! What tests want to know about executed and prepared statements.

use std::sync::PoisonError;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, Statement};

use super::{Db, Target, scalar};

pub(super) const PREPARED: &str = "SELECT sql, run AS runs, reprep AS planned_again FROM sqlite_stmt";

/// A statement that an SQLite connection has prepared.
#[derive(Clone, Debug, FromQueryResult)]
pub struct PreparedStatement {
    /// The text.
    pub sql: String,
    /// How often it was executed.
    pub runs: i64,
    /// How often SQLite has planned it again.
    pub planned_again: i64,
}

impl Db {
    /// Records the statements from now on, and returns those recorded so far.
    pub fn record_statements(&self) -> Vec<Statement> {
        let mut recorded = self.0.statements.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.replace(Vec::new()).unwrap_or_default()
    }

    /// The prepared statements of all connections; `None` unless SQLite was compiled with `SQLITE_ENABLE_STMTVTAB`.
    pub async fn prepared_statements(&self) -> Result<Option<Vec<PreparedStatement>>, DbErr> {
        const IS_COMPILED: &str = "SELECT sqlite_compileoption_used('ENABLE_STMTVTAB')";
        let Target::Sqlite(readers) = &self.0.reader.target else { return Ok(None) };
        if scalar::<i64>(self.conn(), IS_COMPILED, []).await? != Some(1) {
            return Ok(None);
        }
        let mut prepared = readers.prepared().await?;
        let written = self.write(|tx| async move {
            let rows = tx.query_all_raw(Statement::from_string(DbBackend::Sqlite, PREPARED)).await?;
            rows.iter().map(|row| PreparedStatement::from_query_result(row, "")).collect::<Result<Vec<_>, DbErr>>()
        });
        prepared.extend(written.await?);
        Ok(Some(prepared))
    }
}
