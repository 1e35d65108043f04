use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::{Clock, Timestamp};

/// A clock that a test can advance.
#[derive(Clone, Default)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// The clock for the services under test.
    pub fn clock(&self) -> Clock {
        let ahead = self.0.clone();
        Clock::from_fn(move || Timestamp::now() + Duration::from_micros(ahead.load(Ordering::SeqCst).unsigned_abs()))
    }

    /// Advances the clock.
    pub fn advance(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_micros()).unwrap(), Ordering::SeqCst);
    }
}
