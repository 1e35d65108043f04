//! Transactions for reading.

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::Mutex;

use super::{
    readers::Lease,
    script::{Executed, Script},
    statistics::Statements,
};

/// A transaction for reading: all statements see the database as the first one saw it. Each has the time limit of any
/// other statement. It ends when it is dropped.
pub struct Snapshot {
    target: SnapshotTarget,
    statements: Arc<Statements>,
}

pub(super) enum SnapshotTarget {
    Sqlite(Mutex<Lease>),
    Postgres(DatabaseTransaction),
}

impl Snapshot {
    pub(super) fn new(target: SnapshotTarget, statements: Arc<Statements>) -> Self {
        Self { target, statements }
    }

    async fn run(&self, lease: &Mutex<Lease>, statement: Statement) -> Result<Executed, DbErr> {
        self.statements.record(&statement);
        let mut script = Script::default();
        script.push(statement);
        Ok(lease.lock().await.run(script).await?.pop().unwrap_or_default())
    }
}

#[async_trait]
impl ConnectionTrait for Snapshot {
    fn get_database_backend(&self) -> DbBackend {
        match self.target {
            SnapshotTarget::Sqlite(_) => DbBackend::Sqlite,
            SnapshotTarget::Postgres(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.target {
            SnapshotTarget::Sqlite(lease) => Ok(self.run(lease, statement).await?.result.into()),
            SnapshotTarget::Postgres(tx) => tx.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.target {
            SnapshotTarget::Sqlite(lease) => {
                let mut script = Script::default();
                script.push_rare(sql);
                Ok(lease.lock().await.run(script).await?.pop().unwrap_or_default().result.into())
            }
            SnapshotTarget::Postgres(tx) => tx.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.target {
            SnapshotTarget::Sqlite(lease) => {
                Ok(self.run(lease, statement).await?.rows.into_iter().next().map(Into::into))
            }
            SnapshotTarget::Postgres(tx) => tx.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.target {
            SnapshotTarget::Sqlite(lease) => {
                Ok(self.run(lease, statement).await?.rows.into_iter().map(Into::into).collect())
            }
            SnapshotTarget::Postgres(tx) => tx.query_all_raw(statement).await,
        }
    }
}
