//! The connection for writing to SQLite.
//!
//! A request may be dropped at any time, but a statement of a shared transaction must not end half-way. So a statement
//! that has begun belongs to the connection and not to its caller: whoever uses the connection next waits for its end.
//!
//! Statements that need no answer are sent with the next one: those that begin and end the part of a writer, and
//! [deferred](WriteSession::defer) ones.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use sea_orm::{DbBackend, DbErr, RuntimeErr, Statement};
use sqlx::{Connection as _, sqlite::SqliteConnection};

use super::{
    script::{Executed, Outcome, Script},
    sqlx_code,
    statistics::Statements,
};

const BEGIN: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const SAVEPOINT: &str = "SAVEPOINT part";
const RELEASE: &str = "RELEASE part";
const ROLL_BACK: &str = "ROLLBACK TO part;RELEASE part";

/// How many statements are deferred at most, before they are sent.
const MAX_DEFERRED: usize = 32;

/// SQLite's primary result code for a lock that another process holds.
const BUSY: u32 = 5;
/// SQLite's primary result codes for errors after which it may have rolled back the whole transaction: out of memory,
/// interrupted, I/O error, corrupt, full.
const FATAL: [u32; 5] = [7, 9, 10, 11, 13];

/// A connection with one transaction at a time, which consists of the parts of several writers.
pub(super) struct WriteSession {
    state: Mutex<State>,
    /// Held while a statement is sent and until its result has arrived.
    turn: tokio::sync::Mutex<()>,
    statements: Arc<Statements>,
}

struct State {
    /// `None` while statements run, and after an error that leaves its state unknown.
    connection: Option<SqliteConnection>,
    running: Option<Running>,
    is_begun: bool,
    /// Whether the previous part must be released before the next statement.
    is_release_due: bool,
    savepoint: Savepoint,
    deferred: Vec<Statement>,
    /// Whether a deferred statement of this part has failed.
    has_lost_deferred: bool,
    /// Whether the transaction can no longer be used.
    is_broken: bool,
}

/// The savepoint of the current part.
#[derive(Clone, Copy, PartialEq)]
enum Savepoint {
    None,
    /// It is set with the first statement.
    Due,
    Set,
}

/// Statements that are being executed.
struct Running {
    script: Pin<Box<dyn Future<Output = (SqliteConnection, Outcome)> + Send>>,
    /// The number of statements that belong to the transaction and not to the part.
    control: usize,
    /// The number of these and of the deferred statements.
    before: usize,
    effect: Effect,
}

/// What the last statement changes.
#[derive(Clone, Copy, PartialEq)]
enum Effect {
    Nothing,
    Begins,
    EndsPart,
    Commits,
}

/// The error of a writer whose shared transaction was rolled back because of another writer; it may be retried.
pub(super) fn rolled_back() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal("the shared transaction was rolled back".to_owned()))
}

fn statement(sql: &'static str) -> Statement {
    Statement::from_string(DbBackend::Sqlite, sql)
}

impl WriteSession {
    pub(super) fn new(connection: SqliteConnection, statements: Arc<Statements>) -> Self {
        let state = State {
            connection: Some(connection),
            running: None,
            is_begun: false,
            is_release_due: false,
            savepoint: Savepoint::None,
            deferred: Vec::new(),
            has_lost_deferred: false,
            is_broken: false,
        };
        Self { state: Mutex::new(state), turn: tokio::sync::Mutex::default(), statements }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the transaction can no longer be used.
    pub(super) fn is_broken(&self) -> bool {
        self.state().is_broken
    }

    /// Makes the session refuse all further statements.
    pub(super) fn break_off(&self) {
        self.state().is_broken = true;
    }

    /// Begins a transaction, unless one is open.
    pub(super) async fn begin(&self) -> Result<(), DbErr> {
        let _turn = self.turn.lock().await;
        self.finish_running().await;
        if self.state().is_begun {
            return Ok(());
        }
        let mut script = Script::default();
        script.push(statement(BEGIN));
        self.run(script, 0, 0, Effect::Begins).await.map(drop)
    }

    /// Begins the part of a writer.
    pub(super) fn begin_part(&self) {
        let mut state = self.state();
        (state.savepoint, state.has_lost_deferred) = (Savepoint::Due, false);
    }

    /// Executes a statement, after the deferred ones.
    pub(super) async fn execute(&self, statement: Statement) -> Result<Executed, DbErr> {
        self.statements.record(&statement);
        Ok(self.send(|script| script.push(statement), Effect::Nothing).await?.pop().unwrap_or_default())
    }

    /// Executes statements together, after the deferred ones.
    pub(super) async fn execute_all(&self, statements: Vec<Statement>) -> Result<Vec<Executed>, DbErr> {
        for statement in &statements {
            self.statements.record(statement);
        }
        let push = |script: &mut Script| {
            for statement in statements {
                script.push(statement);
            }
        };
        self.send(push, Effect::Nothing).await
    }

    /// Executes text without values, also several statements; returns the result of the last one.
    pub(super) async fn execute_unprepared(&self, sql: &str) -> Result<Executed, DbErr> {
        Ok(self.send(|script| script.push_rare(sql), Effect::Nothing).await?.pop().unwrap_or_default())
    }

    /// Executes a statement before the next one, or before the part ends. Its error is reported there.
    pub(super) async fn defer(&self, statement: Statement) -> Result<(), DbErr> {
        self.statements.record(&statement);
        let is_full = {
            let mut state = self.state();
            state.deferred.push(statement);
            state.deferred.len() >= MAX_DEFERRED
        };
        if is_full { self.send(|_| {}, Effect::Nothing).await.map(drop) } else { Ok(()) }
    }

    /// Ends the part of a writer. Returns whether it executed anything.
    pub(super) async fn release_part(&self) -> Result<bool, DbErr> {
        let turn = self.turn.lock().await;
        self.finish_running().await;
        {
            let mut state = self.state();
            if state.is_broken {
                return Err(rolled_back());
            }
            if state.has_lost_deferred {
                return Err(DbErr::Custom("a transaction continued after a deferred statement had failed".to_owned()));
            }
            if state.deferred.is_empty() {
                let has_executed = mem::replace(&mut state.savepoint, Savepoint::None) == Savepoint::Set;
                state.is_release_due |= has_executed;
                return Ok(has_executed);
            }
        }
        drop(turn);
        self.send(|script| script.push(statement(RELEASE)), Effect::EndsPart).await.map(|_| true)
    }

    /// Rolls back the part of a writer, if one is open. If that fails, SQLite has already rolled back the whole
    /// transaction (because the disk is full, for instance).
    pub(super) async fn roll_back_part(&self) {
        {
            let _turn = self.turn.lock().await;
            self.finish_running().await;
            let mut state = self.state();
            state.deferred.clear();
            if state.savepoint != Savepoint::Set {
                state.savepoint = Savepoint::None;
                return;
            }
        }
        if self.send(|script| script.push_rare(ROLL_BACK), Effect::EndsPart).await.is_err() {
            self.break_off();
        }
    }

    /// Commits the transaction, if one is open.
    pub(super) async fn commit(&self) -> Result<(), DbErr> {
        {
            let _turn = self.turn.lock().await;
            self.finish_running().await;
            if !self.state().is_begun {
                return Ok(());
            }
        }
        self.send(|script| script.push(statement(COMMIT)), Effect::Commits).await.map(drop)
    }

    /// Waits for the running statement and closes the connection.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        let _turn = self.turn.lock().await;
        self.finish_running().await;
        let connection = {
            let mut state = self.state();
            state.is_broken = true;
            state.connection.take()
        };
        match connection {
            Some(connection) => {
                connection.close().await.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))
            }
            None => Ok(()),
        }
    }

    /// Sends what is due, the deferred statements and those that `push` adds.
    async fn send(&self, push: impl FnOnce(&mut Script), effect: Effect) -> Result<Vec<Executed>, DbErr> {
        let _turn = self.turn.lock().await;
        self.finish_running().await;
        let mut script = Script::default();
        let (control, before) = {
            let mut state = self.state();
            if state.is_broken {
                return Err(rolled_back());
            }
            if mem::take(&mut state.is_release_due) {
                script.push(statement(RELEASE));
            }
            if state.savepoint == Savepoint::Due {
                state.savepoint = Savepoint::Set;
                script.push(statement(SAVEPOINT));
            }
            let control = script.len();
            for deferred in state.deferred.drain(..) {
                script.push(deferred);
            }
            (control, script.len())
        };
        push(&mut script);
        if script.len() == 0 {
            return Ok(Vec::new());
        }
        let mut executed = self.run(script, control, before, effect).await?;
        Ok(executed.split_off(before.min(executed.len())))
    }

    /// Runs a script. The caller has the turn.
    async fn run(&self, script: Script, control: usize, before: usize, effect: Effect) -> Result<Vec<Executed>, DbErr> {
        {
            let mut state = self.state();
            let Some(mut connection) = state.connection.take() else { return Err(rolled_back()) };
            let script = Box::pin(async move {
                let outcome = script.run(&mut connection).await;
                (connection, outcome)
            });
            state.running = Some(Running { script, control, before, effect });
        }
        self.finish_running().await.unwrap_or_else(|| Err(rolled_back()))
    }

    /// Waits for the end of the running script, if there is one, and updates the state by its outcome.
    async fn finish_running(&self) -> Option<Result<Vec<Executed>, DbErr>> {
        std::future::poll_fn(|context| {
            let mut state = self.state();
            let Some(running) = &mut state.running else { return Poll::Ready(None) };
            let Poll::Ready((connection, outcome)) = running.script.as_mut().poll(context) else {
                return Poll::Pending;
            };
            let Some(running) = state.running.take() else { return Poll::Ready(None) };
            Poll::Ready(Some(state.finish(connection, &running, outcome)))
        })
        .await
    }
}

impl State {
    fn finish(
        &mut self,
        connection: SqliteConnection,
        running: &Running,
        outcome: Outcome,
    ) -> Result<Vec<Executed>, DbErr> {
        let Outcome { executed, error } = outcome;
        let Some(error) = error else {
            self.connection = Some(connection);
            match running.effect {
                Effect::Nothing => {}
                Effect::Begins => self.is_begun = true,
                Effect::EndsPart => self.savepoint = Savepoint::None,
                Effect::Commits => self.is_begun = false,
            }
            return Ok(executed);
        };
        let failed = executed.len();
        let is_of_transaction = failed < running.control || failed >= running.before;
        self.is_broken |= match (sqlx_code(&error), running.effect) {
            // Another process writes.
            (Some(BUSY), Effect::Begins) => false,
            (Some(code), Effect::Nothing) => failed < running.control || FATAL.contains(&code),
            (Some(code), _) => is_of_transaction || FATAL.contains(&code),
            (None, _) => true,
        };
        // Without a code, the state of the connection is unknown.
        self.connection = sqlx_code(&error).map(|_| connection);
        self.has_lost_deferred |= failed < running.before;
        if failed < running.control {
            return Err(rolled_back());
        }
        Err(DbErr::Exec(RuntimeErr::SqlxError(error.into())))
    }
}
