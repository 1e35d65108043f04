//! A clock that is set.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use guildhall_kernel::{Clock, Timestamp};

/// A clock that is set, and goes on by a microsecond each time it is read: what happens in one step keeps its order.
pub(super) struct SetClock(Arc<AtomicI64>);

impl SetClock {
    pub(super) fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.unix_micros())))
    }

    pub(super) fn set(&self, now: Timestamp) {
        self.0.store(now.unix_micros(), Ordering::Relaxed);
    }

    /// The clock for services.
    pub(super) fn clock(&self) -> Clock {
        let now = self.0.clone();
        Clock::from_fn(move || Timestamp::from_unix_micros(now.fetch_add(1, Ordering::Relaxed)))
    }
}
