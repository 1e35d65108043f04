//! Warnings that are logged at most once per minute.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The minimum interval between two log lines of the same [`Warning`].
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// A rate-limited warning.
pub(crate) struct Warning {
    message: &'static str,
    /// When it was last logged, and how often it has occurred since.
    state: Mutex<(Option<Instant>, u64)>,
}

impl Warning {
    pub(crate) fn new(message: &'static str) -> Self {
        Self { message, state: Mutex::new((None, 0)) }
    }

    pub(crate) fn record(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, count) = &mut *state;
        *count += 1;
        if last.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
            tracing::warn!(count = *count, "{}", self.message);
            *state = (Some(Instant::now()), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_19_a_warning_is_logged_once_per_minute() {
        let warning = Warning::new("test");
        for _ in 0..100 {
            warning.record();
        }
        assert_eq!(warning.state.lock().unwrap().1, 99);
    }
}
