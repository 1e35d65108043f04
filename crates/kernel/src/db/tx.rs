//! Transactions.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement};

/// An error type of [`Db::write`](super::Db::write), which retries some database errors.
pub trait Failure: From<DbErr> {
    /// The database error that caused this one, if any.
    fn database(&self) -> Option<&DbErr>;
}

impl Failure for DbErr {
    fn database(&self) -> Option<&DbErr> {
        Some(self)
    }
}

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
    pub(super) conn: Arc<DatabaseTransaction>,
    pub(super) event_store: Option<Arc<dyn EventStore>>,
    pub(super) has_stored_work: Arc<AtomicBool>,
}

impl Tx {
    /// The connection of the transaction.
    pub fn conn(&self) -> &DatabaseTransaction {
        &self.conn
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
