//! Long-running statements: only a few of them run concurrently, which leaves cores and connections for short ones.

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

/// How many statements are tracked.
const MAX_TRACKED: usize = 1000;
/// One long-running statement may run per this number of connections.
const CONNECTIONS_PER_PERMIT: u32 = 8;

/// The elapsed time from which an execution counts as long, after subtracting the shortest time of any statement: the
/// network may be slow.
const LONG: Duration = Duration::from_millis(20);

/// Tracks which statements are long-running, and limits how many of them run concurrently.
pub(super) struct LongStatements {
    /// The number of long executions in a row, by the hash of the statement.
    executions: Mutex<HashMap<u64, u32>>,
    /// After how many long executions in a row a statement counts as long-running.
    threshold: u32,
    permits: Arc<Semaphore>,
    acquire_timeout: Duration,
    /// The shortest time that any statement took, in microseconds.
    shortest: AtomicU64,
}

/// The hash of a statement.
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
    /// Limits the long-running statements on a number of connections.
    pub(super) fn new(connections: u32, threshold: u32, acquire_timeout: Duration) -> Self {
        let permits = usize::try_from(connections / CONNECTIONS_PER_PERMIT).unwrap_or(1).max(1);
        let (executions, permits) = (Mutex::default(), Arc::new(Semaphore::new(permits)));
        Self { executions, threshold, permits, acquire_timeout, shortest: AtomicU64::new(u64::MAX) }
    }

    fn executions(&self) -> MutexGuard<'_, HashMap<u64, u32>> {
        self.executions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a permit for a long-running statement; other statements need none.
    pub(super) async fn acquire(&self, statement: StatementKey) -> Result<Option<OwnedSemaphorePermit>, DbErr> {
        if self.executions().get(&statement.0).is_none_or(|count| *count < self.threshold) {
            return Ok(None);
        }
        let permit = timeout(self.acquire_timeout, self.permits.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        permit.map(Some).map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))
    }

    /// Runs a statement with a permit if it needs one, and records its elapsed time.
    pub(super) async fn run<T>(
        &self,
        statement: StatementKey,
        execution: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let _permit = self.acquire(statement).await?;
        let start = Instant::now();
        let outcome = execution.await;
        self.record(statement, self.is_long(start.elapsed()));
        outcome
    }

    /// Whether an execution time counts as long for this database.
    fn is_long(&self, elapsed: Duration) -> bool {
        let elapsed = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let shortest = self.shortest.fetch_min(elapsed, Ordering::Relaxed).min(elapsed);
        Duration::from_micros(elapsed - shortest) >= LONG
    }

    /// Records whether an execution of a statement was long.
    pub(super) fn record(&self, statement: StatementKey, was_long: bool) {
        let mut executions = self.executions();
        if !was_long {
            executions.remove(&statement.0);
        } else if executions.len() < MAX_TRACKED || executions.contains_key(&statement.0) {
            let count = executions.entry(statement.0).or_default();
            *count = count.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_running_statements_need_a_permit() {
        let long = LongStatements::new(4, 2, Duration::from_millis(20));
        let statement = StatementKey::of("SELECT 1");
        long.record(statement, true);
        assert!(long.acquire(statement).await.unwrap().is_none(), "one long execution is below the threshold");
        long.record(statement, true);
        let permit = long.acquire(statement).await.unwrap();
        assert!(permit.is_some());
        assert!(long.acquire(statement).await.is_err(), "the only permit is taken");
        assert!(long.acquire(StatementKey::of("SELECT 2")).await.unwrap().is_none(), "others do not wait");
        drop(permit);
        assert!(long.acquire(statement).await.unwrap().is_some());
        long.record(statement, false);
        assert!(long.acquire(statement).await.unwrap().is_none());
    }

    #[test]
    fn network_latency_does_not_count() {
        let long = LongStatements::new(8, 1, Duration::from_millis(20));
        let is_long = |millis| long.is_long(Duration::from_millis(millis));
        assert!(!is_long(40), "the shortest so far");
        assert!(!is_long(45));
        assert!(is_long(60));
        assert!(!is_long(1));
        assert!(is_long(40), "the latency is at most 1 ms");
    }
}
