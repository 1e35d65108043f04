//! Transactions.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use sqlx::sqlite::SqliteQueryResult;

use super::{group_commit::Part, script::Executed};

/// Stores the events of transactions. The [events](crate::event) implement it.
#[async_trait]
pub(crate) trait EventStore: Send + Sync {
    /// Whether anybody subscribes to the events of this name.
    fn has_subscribers(&self, name: &str) -> bool;

    /// Stores an event for its subscribers; returns whether there are any.
    async fn store(&self, tx: &Tx, event: NewEvent<'_>) -> Result<bool, DbErr>;
}

/// An event to be stored.
pub(crate) struct NewEvent<'a> {
    pub(crate) name: &'static str,
    pub(crate) aggregate: String,
    /// Serializes the event to JSON.
    pub(crate) payload: &'a (dyn Fn() -> Result<String, DbErr> + Sync),
}

/// An open transaction, passed to the closure of [`Db::write`](super::Db::write).
pub struct Tx {
    pub(super) target: TxTarget,
    pub(super) event_store: Option<Arc<dyn EventStore>>,
    pub(super) has_stored_work: Arc<AtomicBool>,
    pub(super) after_commit: Arc<AfterCommit>,
}

/// What runs once a transaction has committed.
#[derive(Default)]
pub(super) struct AfterCommit(Mutex<Vec<Box<dyn FnOnce() + Send>>>);

impl AfterCommit {
    pub(super) fn run(&self) {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for run in all {
            run();
        }
    }
}

pub(super) enum TxTarget {
    Sqlite(Arc<Part>),
    Postgres(Arc<DatabaseTransaction>),
}

impl Tx {
    /// The same transaction for statements whose result nobody needs. On SQLite they are sent with the next statement
    /// or at the end of the transaction: fewer switches between threads. The order of statements stays the same; an
    /// error is reported by the statement that they were sent with, and the transaction cannot be committed then. So
    /// only use it for statements that no input can make fail, and ignore the reported number of rows.
    pub fn deferred(&self) -> Deferred<'_> {
        Deferred(self)
    }

    /// Executes statements together; only SQLite can.
    pub(super) async fn execute_all(&self, statements: Vec<Statement>) -> Result<Vec<Executed>, DbErr> {
        match &self.target {
            TxTarget::Sqlite(part) => part.execute_all(statements).await,
            TxTarget::Postgres(_) => Err(DbErr::BackendNotSupported { db: "PostgreSQL", ctx: "execute_all" }),
        }
    }

    /// Runs something short once the transaction has committed; never if it rolls back. It may be lost if the process
    /// ends or the request is dropped during the commit, so nothing may depend on it alone.
    pub fn after_commit(&self, run: impl FnOnce() + Send + 'static) {
        self.after_commit.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(run));
    }

    pub(crate) fn event_store(&self) -> Option<&dyn EventStore> {
        self.event_store.as_deref()
    }

    /// Wakes the event dispatcher and the outbox of this process once the transaction has committed.
    pub(crate) fn wake_after_commit(&self) {
        self.has_stored_work.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        match self.target {
            TxTarget::Sqlite(_) => DbBackend::Sqlite,
            TxTarget::Postgres(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.target {
            TxTarget::Sqlite(part) => Ok(part.execute(statement).await?.result.into()),
            TxTarget::Postgres(tx) => tx.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.target {
            TxTarget::Sqlite(part) => Ok(part.execute_unprepared(sql).await?.result.into()),
            TxTarget::Postgres(tx) => tx.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.target {
            TxTarget::Sqlite(part) => Ok(part.execute(statement).await?.rows.into_iter().next().map(Into::into)),
            TxTarget::Postgres(tx) => tx.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.target {
            TxTarget::Sqlite(part) => Ok(part.execute(statement).await?.rows.into_iter().map(Into::into).collect()),
            TxTarget::Postgres(tx) => tx.query_all_raw(statement).await,
        }
    }
}

/// A transaction whose statements without a result are deferred; see [`Tx::deferred`].
pub struct Deferred<'a>(&'a Tx);

#[async_trait]
impl ConnectionTrait for Deferred<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.0.target {
            TxTarget::Sqlite(part) => {
                part.defer(statement).await?;
                Ok(SqliteQueryResult::default().into())
            }
            TxTarget::Postgres(tx) => tx.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.0.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.0.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.0.query_all_raw(statement).await
    }
}
