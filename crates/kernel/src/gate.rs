//! Limits on expensive work: how much of it runs concurrently, and how much may be queued.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{Error, Kind, Result, UserId};

/// The limits of a [`Gate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// How many may run concurrently.
    pub at_once: usize,
    /// How many may be queued.
    pub queue: usize,
    /// How many of one user may run or be queued.
    pub per_person: usize,
    /// The longest wait in the queue.
    pub patience: Duration,
}

/// Limits how much of some work runs concurrently.
#[derive(Clone)]
pub struct Gate {
    limits: GateLimits,
    permits: Arc<Semaphore>,
    counts: Arc<Mutex<Counts>>,
}

/// How many run or are queued.
#[derive(Default)]
struct Counts {
    total: usize,
    by_user: HashMap<UserId, usize>,
}

impl Counts {
    fn remove(&mut self, user: Option<UserId>) {
        self.total -= 1;
        let Some(user) = user else { return };
        if let Some(count) = self.by_user.get_mut(&user) {
            *count -= 1;
            if *count == 0 {
                self.by_user.remove(&user);
            }
        }
    }
}

/// A permit for the work, until it is dropped. Move it into the work: the caller that waits for the work may be
/// dropped before the work ends.
pub struct Permit {
    _slot: Slot,
    _permit: OwnedSemaphorePermit,
}

/// One that runs or is queued.
struct Slot {
    counts: Arc<Mutex<Counts>>,
    user: Option<UserId>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).remove(self.user);
    }
}

impl Gate {
    /// A gate with these limits.
    pub fn new(limits: GateLimits) -> Self {
        Self { limits, permits: Arc::new(Semaphore::new(limits.at_once)), counts: Arc::default() }
    }

    /// Waits for a permit. Work of the system itself has no user.
    ///
    /// # Errors
    /// 503 `busy` if the queue is full, the user has reached the limit, or the wait takes too long.
    pub async fn enter(&self, user: Option<UserId>) -> Result<Permit> {
        let slot = self.slot(user)?;
        let permit = timeout(self.limits.patience, self.permits.clone().acquire_owned()).await.map_err(|_| busy())?;
        Ok(Permit { _slot: slot, _permit: permit.map_err(Error::internal)? })
    }

    fn slot(&self, user: Option<UserId>) -> Result<Slot> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_user = user.and_then(|user| counts.by_user.get(&user)).copied().unwrap_or_default();
        if counts.total >= self.limits.at_once + self.limits.queue || of_user >= self.limits.per_person {
            return Err(busy());
        }
        counts.total += 1;
        if let Some(user) = user {
            *counts.by_user.entry(user).or_default() += 1;
        }
        drop(counts);
        Ok(Slot { counts: self.counts.clone(), user })
    }
}

fn busy() -> Error {
    let detail = "The server is busy. Try again in a moment.";
    Error::new(Kind::Unavailable, "busy", detail).retry_after(Duration::from_secs(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate::new(GateLimits { at_once: 1, queue: 2, per_person: 2, patience: Duration::from_millis(50) })
    }

    #[tokio::test]
    async fn requests_beyond_the_queue_are_refused_immediately() {
        let gate = gate();
        let permit = gate.enter(Some(UserId(1))).await.unwrap();
        let waiting = [2, 3].map(|user| {
            let gate = gate.clone();
            tokio::spawn(async move { gate.enter(Some(UserId(user))).await.map(|_| ()) })
        });
        tokio::task::yield_now().await;
        let refused = gate.enter(Some(UserId(4))).await.err().unwrap();
        assert_eq!((refused.kind(), refused.code()), (Kind::Unavailable, "busy"));
        drop(permit);
        for waiting in waiting {
            waiting.await.unwrap().unwrap();
        }
        assert!(gate.enter(None).await.is_ok(), "finished work frees its slot");
    }

    #[tokio::test]
    async fn one_user_cannot_fill_the_queue_and_waiting_ends() {
        let gate = gate();
        let permit = gate.enter(Some(UserId(1))).await.unwrap();
        let timed_out = gate.enter(Some(UserId(1))).await.err().unwrap();
        assert_eq!(timed_out.code(), "busy", "no permit in time");
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter(Some(UserId(1))).await.is_ok() }
        });
        tokio::task::yield_now().await;
        assert!(gate.enter(Some(UserId(1))).await.is_err(), "the user's limit is two");
        drop(permit);
        assert!(waiting.await.unwrap());
    }
}
