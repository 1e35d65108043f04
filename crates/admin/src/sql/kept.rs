//! Values that are kept for a while.

use std::{
    future::Future,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use guildhall_kernel::Timestamp;
use tokio::sync::Mutex;

use crate::Result;

/// A value that is expensive to compute. One caller computes it again after a minute; the others get the old one
/// meanwhile.
pub(super) struct Kept<T> {
    value: RwLock<Option<(Timestamp, T)>>,
    renewal: Mutex<()>,
}

/// How long a value is kept.
const MAX_AGE: Duration = Duration::from_secs(60);

impl<T: Clone> Kept<T> {
    pub(super) const fn new() -> Self {
        Self { value: RwLock::new(None), renewal: Mutex::const_new(()) }
    }

    /// The value, computed if it is too old.
    pub(super) async fn get<F: Future<Output = Result<T>>>(
        &self,
        now: Timestamp,
        compute: impl FnOnce() -> F,
    ) -> Result<T> {
        let old = match self.read() {
            Some((at, value)) if now < at + MAX_AGE => return Ok(value),
            old => old,
        };
        let _renewal = match (self.renewal.try_lock(), old) {
            (Ok(renewal), _) => renewal,
            (Err(_), Some((_, value))) => return Ok(value),
            // There is none yet: it is not computed twice.
            (Err(_), None) => self.renewal.lock().await,
        };
        if let Some((at, value)) = self.read()
            && now < at + MAX_AGE
        {
            return Ok(value);
        }
        let value = compute().await?;
        *self.value.write().unwrap_or_else(PoisonError::into_inner) = Some((now, value.clone()));
        Ok(value)
    }

    fn read(&self) -> Option<(Timestamp, T)> {
        self.value.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn the_old_value_is_returned_while_another_caller_computes() {
        let (kept, now) = (Kept::new(), Timestamp::from_unix_seconds(0));
        assert_eq!(kept.get(now, || async { Ok(1) }).await.unwrap(), 1);
        let later = now + MAX_AGE;
        let slow = kept.get(later, pending::<Result<i32>>);
        tokio::pin!(slow);
        tokio::select! {
            biased;
            _ = &mut slow => panic!("it waits"),
            value = kept.get(later, || async { Ok(2) }) => assert_eq!(value.unwrap(), 1),
        }
    }

    #[tokio::test]
    async fn a_value_is_computed_again_when_it_is_too_old() {
        let (kept, now) = (Kept::new(), Timestamp::from_unix_seconds(0));
        assert_eq!(kept.get(now, || async { Ok(1) }).await.unwrap(), 1);
        assert_eq!(kept.get(now + Duration::from_secs(59), || async { Ok(2) }).await.unwrap(), 1);
        assert_eq!(kept.get(now + MAX_AGE, || async { Ok(3) }).await.unwrap(), 3);
    }
}
