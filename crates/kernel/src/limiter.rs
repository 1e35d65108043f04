//! Limits on how often something is done, counted in this process for each user or address.

use std::{
    hash::Hash,
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock as _};

use crate::{Error, Kind, Result};

/// The number of keys above which idle ones are dropped.
const MAX_KEYS: usize = 10_000;

/// A token bucket for each key.
pub struct KeyedLimiter<K: Hash + Eq + Clone> {
    buckets: DefaultKeyedRateLimiter<K>,
    /// The number of keys above which idle ones are dropped next: twice the number that was left the last time.
    max_keys: AtomicUsize,
}

impl<K: Hash + Eq + Clone> KeyedLimiter<K> {
    /// Allows this many per minute.
    pub fn per_minute(limit: NonZeroU32) -> Self {
        Self::new(Quota::per_minute(limit))
    }

    /// Allows this many per second, and `burst` at once.
    pub fn per_second(limit: NonZeroU32, burst: NonZeroU32) -> Self {
        Self::new(Quota::per_second(limit).allow_burst(burst))
    }

    /// Allows one in this time; `None` if that is zero.
    pub fn once_in(period: Duration) -> Option<Self> {
        Quota::with_period(period).map(Self::new)
    }

    fn new(quota: Quota) -> Self {
        Self { buckets: DefaultKeyedRateLimiter::keyed(quota), max_keys: AtomicUsize::new(MAX_KEYS) }
    }

    /// Counts one for a key, if the limit allows it; otherwise returns how long to wait.
    pub fn check(&self, key: &K) -> Result<(), Duration> {
        if self.buckets.len() > self.max_keys.load(Ordering::Relaxed) {
            self.buckets.retain_recent();
            self.max_keys.store(MAX_KEYS.max(2 * self.buckets.len()), Ordering::Relaxed);
        }
        self.buckets.check_key(key).map_err(|not_until| {
            let now = governor::clock::DefaultClock::default().now();
            not_until.wait_time_from(now).max(Duration::from_secs(1))
        })
    }

    /// Counts one for a key.
    ///
    /// # Errors
    /// 429 `rate_limited` with this detail above the limit.
    pub fn count(&self, key: &K, detail: &'static str) -> Result<()> {
        self.check(key).map_err(|wait| Error::new(Kind::TooMany, "rate_limited", detail).retry_after(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn each_key_has_its_own_limit() {
        let limiter = KeyedLimiter::per_minute(limit(2));
        assert!(limiter.check(&1).is_ok() && limiter.check(&1).is_ok() && limiter.check(&2).is_ok());
        assert!(limiter.check(&1).unwrap_err() >= Duration::from_secs(1));
        let refused = limiter.count(&1, "Too many.").unwrap_err();
        assert_eq!((refused.kind(), refused.code(), refused.detail()), (Kind::TooMany, "rate_limited", "Too many."));
    }

    #[test]
    fn a_burst_is_allowed_at_once() {
        let limiter = KeyedLimiter::per_second(limit(1), limit(3));
        assert_eq!((0..5).filter(|_| limiter.check(&1).is_ok()).count(), 3);
    }

    #[test]
    fn idle_keys_are_dropped() {
        let limiter = KeyedLimiter::once_in(Duration::from_nanos(1)).unwrap();
        for key in 0..3 * MAX_KEYS {
            assert!(limiter.check(&key).is_ok());
        }
        assert!(limiter.buckets.len() <= MAX_KEYS + 1);
        assert!(KeyedLimiter::<i64>::once_in(Duration::ZERO).is_none());
    }
}
