//! Statements that take long: they run only a few at a time, so that short ones find a core and a connection.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{ConnAcquireErr, DbErr};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How many statements are remembered.
const MOST_KNOWN: usize = 1000;
/// Of so many connections one may be busy with a statement that takes long.
const CONNECTIONS: u32 = 8;

/// From when on a statement takes long where only its time is known, without the time that every statement takes: a
/// database may be far away.
const LONG: Duration = Duration::from_millis(20);

/// Which statements took long, and how many of them run.
pub(super) struct LongStatements {
    /// By the hash of the statement, how often it took long in a row.
    known: Mutex<HashMap<u64, u32>>,
    /// After how many times in a row a statement is one that takes long.
    times: u32,
    permits: Arc<Semaphore>,
    patience: Duration,
    /// How long the shortest statement took, in microseconds.
    shortest: AtomicU64,
}

/// A statement, as it is remembered.
#[derive(Clone, Copy)]
pub(super) struct StatementKey(u64);

impl StatementKey {
    pub(super) fn of(sql: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        sql.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl LongStatements {
    /// For so many connections. Who has not got their turn after `patience` is refused.
    pub(super) fn new(connections: u32, times: u32, patience: Duration) -> Self {
        let permits = usize::try_from(connections / CONNECTIONS).unwrap_or(1).max(1);
        let (known, permits) = (Mutex::default(), Arc::new(Semaphore::new(permits)));
        Self { known, times, permits, patience, shortest: AtomicU64::new(u64::MAX) }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u64, u32>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of a statement that takes long; none is needed for any other.
    pub(super) async fn turn(&self, statement: StatementKey) -> Result<Option<OwnedSemaphorePermit>, DbErr> {
        if self.known().get(&statement.0).is_none_or(|times| *times < self.times) {
            return Ok(None);
        }
        let permit = timeout(self.patience, self.permits.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        permit.map(Some).map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))
    }

    /// Runs a statement in its turn, and remembers how long it took.
    pub(super) async fn watch<T>(
        &self,
        statement: StatementKey,
        run: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let _turn = self.turn(statement).await?;
        let begun = Instant::now();
        let outcome = run.await;
        self.note(statement, self.is_long(begun.elapsed()));
        outcome
    }

    /// Whether this is long for a statement of this database.
    fn is_long(&self, took: Duration) -> bool {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let shortest = self.shortest.fetch_min(took, Ordering::Relaxed).min(took);
        Duration::from_micros(took - shortest) >= LONG
    }

    /// Remembers whether a statement took long.
    pub(super) fn note(&self, statement: StatementKey, was_long: bool) {
        let mut known = self.known();
        if !was_long {
            known.remove(&statement.0);
        } else if known.len() < MOST_KNOWN || known.contains_key(&statement.0) {
            let times = known.entry(statement.0).or_default();
            *times = times.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn statements_that_take_long_wait_for_each_other_until_one_does_not() {
        let long = LongStatements::new(4, 2, Duration::from_millis(20));
        let statement = StatementKey::of("SELECT 1");
        long.note(statement, true);
        assert!(long.turn(statement).await.unwrap().is_none(), "once can be chance");
        long.note(statement, true);
        let turn = long.turn(statement).await.unwrap();
        assert!(turn.is_some());
        assert!(long.turn(statement).await.is_err(), "another runs already");
        assert!(long.turn(StatementKey::of("SELECT 2")).await.unwrap().is_none(), "others do not wait");
        drop(turn);
        assert!(long.turn(statement).await.unwrap().is_some());
        long.note(statement, false);
        assert!(long.turn(statement).await.unwrap().is_none());
    }

    #[test]
    fn a_database_far_away_makes_no_statement_long() {
        let long = LongStatements::new(8, 1, Duration::from_millis(20));
        let is_long = |millis| long.is_long(Duration::from_millis(millis));
        assert!(!is_long(40), "nothing was shorter");
        assert!(!is_long(45));
        assert!(is_long(60));
        assert!(!is_long(1));
        assert!(is_long(40), "it is near after all");
    }
}
