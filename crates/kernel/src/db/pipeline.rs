//! Independent statements that are sent together.

use std::{
    future::poll_fn,
    mem,
    sync::{Mutex, PoisonError},
    task::Poll,
};

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::oneshot;

use super::{conn::Conn, script::Executed, tx::Tx};

/// A connection that sends the statements of joined futures together, such as those of `tokio::try_join!`. On SQLite a
/// statement of its own costs two switches between threads. On PostgreSQL each is sent by itself.
///
/// The statements must be independent: they run in the order in which the futures are first polled, and if one fails,
/// all of them do.
pub struct Pipeline<'a> {
    conn: Connection<'a>,
    queue: Mutex<Vec<Queued>>,
    turn: tokio::sync::Mutex<()>,
    /// The first error. PostgreSQL refuses all later statements of a transaction, with an error that says nothing.
    first_error: Mutex<Option<DbErr>>,
}

#[derive(Clone, Copy)]
enum Connection<'a> {
    Conn(&'a Conn),
    Tx(&'a Tx),
}

struct Queued {
    statement: Statement,
    result: oneshot::Sender<Result<Executed, DbErr>>,
}

impl Conn {
    /// The same connections for independent statements of joined futures.
    pub fn pipeline(&self) -> Pipeline<'_> {
        Pipeline {
            conn: Connection::Conn(self),
            queue: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            first_error: Mutex::default(),
        }
    }
}

impl Tx {
    /// The same transaction for independent statements of joined futures.
    pub fn pipeline(&self) -> Pipeline<'_> {
        Pipeline {
            conn: Connection::Tx(self),
            queue: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            first_error: Mutex::default(),
        }
    }
}

impl Pipeline<'_> {
    fn sends_together(&self) -> bool {
        self.get_database_backend() == DbBackend::Sqlite
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Vec<Queued>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outcome of a statement that was sent by itself; the first error instead of a later one.
    fn outcome<T>(&self, outcome: Result<T, DbErr>) -> Result<T, DbErr> {
        outcome.map_err(|error| {
            let mut first = self.first_error.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error).clone()
        })
    }

    async fn execute(&self, statement: Statement) -> Result<Executed, DbErr> {
        let (result, mut received) = oneshot::channel();
        self.queue().push(Queued { statement, result });
        // The other futures are polled in between, and add their statements.
        let mut has_waited = false;
        poll_fn(|context| {
            if mem::replace(&mut has_waited, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        let _turn = self.turn.lock().await;
        if let Ok(result) = received.try_recv() {
            return result;
        }
        self.send().await;
        received.try_recv().unwrap_or_else(|_| Err(DbErr::Custom("a statement was not executed".to_owned())))
    }

    /// Sends the statements that are waiting.
    async fn send(&self) {
        let mut queued = mem::take(&mut *self.queue());
        // The statement of a future that was dropped while it waited is not executed.
        queued.retain(|queued| !queued.result.is_closed());
        let (statements, results): (Vec<_>, Vec<_>) =
            queued.into_iter().map(|queued| (queued.statement, queued.result)).unzip();
        let outcome = match self.conn {
            Connection::Conn(conn) => conn.execute_all(statements).await,
            Connection::Tx(tx) => tx.execute_all(statements).await,
        };
        match outcome {
            // A future that was dropped meanwhile needs no result.
            Ok(executed) => results.into_iter().zip(executed).for_each(|(result, executed)| {
                let _ = result.send(Ok(executed));
            }),
            Err(error) => results.into_iter().for_each(|result| {
                let _ = result.send(Err(error.clone()));
            }),
        }
    }
}

#[async_trait]
impl ConnectionTrait for Pipeline<'_> {
    fn get_database_backend(&self) -> DbBackend {
        match self.conn {
            Connection::Conn(conn) => conn.get_database_backend(),
            Connection::Tx(tx) => tx.get_database_backend(),
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match self.conn {
            _ if self.sends_together() => Ok(self.execute(statement).await?.result.into()),
            Connection::Conn(conn) => self.outcome(conn.execute_raw(statement).await),
            Connection::Tx(tx) => self.outcome(tx.execute_raw(statement).await),
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match self.conn {
            Connection::Conn(conn) => conn.execute_unprepared(sql).await,
            Connection::Tx(tx) => tx.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self.conn {
            _ if self.sends_together() => Ok(self.execute(statement).await?.rows.into_iter().next().map(Into::into)),
            Connection::Conn(conn) => self.outcome(conn.query_one_raw(statement).await),
            Connection::Tx(tx) => self.outcome(tx.query_one_raw(statement).await),
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self.conn {
            _ if self.sends_together() => Ok(self.execute(statement).await?.rows.into_iter().map(Into::into).collect()),
            Connection::Conn(conn) => self.outcome(conn.query_all_raw(statement).await),
            Connection::Tx(tx) => self.outcome(tx.query_all_raw(statement).await),
        }
    }
}
