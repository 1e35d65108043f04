//! Work that takes much memory or many cores: only so much of it at a time, and only so much waiting for it.

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

/// How much of some work is done at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// How many do it at once.
    pub at_once: usize,
    /// How many may wait for their turn.
    pub queue: usize,
    /// How many of those who work or wait may be one person's.
    pub per_person: usize,
    /// How long somebody waits at most.
    pub patience: Duration,
}

/// Lets only so many do some work at once.
#[derive(Clone)]
pub struct Gate {
    limits: GateLimits,
    turns: Arc<Semaphore>,
    inside: Arc<Mutex<Inside>>,
}

/// Those who work or wait.
#[derive(Default)]
struct Inside {
    all: usize,
    by_person: HashMap<UserId, usize>,
}

impl Inside {
    fn leave(&mut self, person: Option<UserId>) {
        self.all -= 1;
        let Some(person) = person else { return };
        if let Some(count) = self.by_person.get_mut(&person) {
            *count -= 1;
            if *count == 0 {
                self.by_person.remove(&person);
            }
        }
    }
}

/// The right to do the work, until it is dropped. Belongs into the work and not with whoever waits for it, who may
/// be gone before it ends.
pub struct Turn {
    _place: Place,
    _permit: OwnedSemaphorePermit,
}

struct Place {
    inside: Arc<Mutex<Inside>>,
    person: Option<UserId>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).leave(self.person);
    }
}

impl Gate {
    /// A gate with these limits.
    pub fn new(limits: GateLimits) -> Self {
        Self { limits, turns: Arc::new(Semaphore::new(limits.at_once)), inside: Arc::default() }
    }

    /// Waits for a turn. Work that nobody has asked for has no person.
    ///
    /// # Errors
    /// 503 `busy` where too many wait already, this person's own among them, or where the turn does not come.
    pub async fn enter(&self, person: Option<UserId>) -> Result<Turn> {
        let place = self.place(person)?;
        let permit = timeout(self.limits.patience, self.turns.clone().acquire_owned()).await.map_err(|_| busy())?;
        Ok(Turn { _place: place, _permit: permit.map_err(Error::internal)? })
    }

    fn place(&self, person: Option<UserId>) -> Result<Place> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let own = person.and_then(|person| inside.by_person.get(&person)).copied().unwrap_or_default();
        if inside.all >= self.limits.at_once + self.limits.queue || own >= self.limits.per_person {
            return Err(busy());
        }
        inside.all += 1;
        if let Some(person) = person {
            *inside.by_person.entry(person).or_default() += 1;
        }
        drop(inside);
        Ok(Place { inside: self.inside.clone(), person })
    }
}

fn busy() -> Error {
    let detail = "The server is busy with other work of this kind. Try again in a moment.";
    Error::new(Kind::Unavailable, "busy", detail).retry_after(Duration::from_secs(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate::new(GateLimits { at_once: 1, queue: 2, per_person: 2, patience: Duration::from_millis(50) })
    }

    #[tokio::test]
    async fn beyond_the_queue_everybody_is_refused_at_once() {
        let gate = gate();
        let turn = gate.enter(Some(UserId(1))).await.unwrap();
        let waiting = [2, 3].map(|person| {
            let gate = gate.clone();
            tokio::spawn(async move { gate.enter(Some(UserId(person))).await.map(|_| ()) })
        });
        tokio::task::yield_now().await;
        let refused = gate.enter(Some(UserId(4))).await.err().unwrap();
        assert_eq!((refused.kind(), refused.code()), (Kind::Unavailable, "busy"));
        drop(turn);
        for waiting in waiting {
            waiting.await.unwrap().unwrap();
        }
        assert!(gate.enter(None).await.is_ok(), "whoever has left makes room");
    }

    #[tokio::test]
    async fn one_person_cannot_take_every_place_and_nobody_waits_for_ever() {
        let gate = gate();
        let turn = gate.enter(Some(UserId(1))).await.unwrap();
        let late = gate.enter(Some(UserId(1))).await.err().unwrap();
        assert_eq!(late.code(), "busy", "the turn did not come in time");
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter(Some(UserId(1))).await.is_ok() }
        });
        tokio::task::yield_now().await;
        assert!(gate.enter(Some(UserId(1))).await.is_err(), "two places are this person's");
        drop(turn);
        assert!(waiting.await.unwrap());
    }
}
