//! The numbers of what a user has not read, which several domains count.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use guildhall_kernel::{Result, UserId, db::Tx};

/// Counts what a user has not read of a domain.
#[async_trait]
pub trait UnreadCounter: Send + Sync + 'static {
    /// The name of the number in the frame: `messages`.
    fn name(&self) -> &'static str;

    /// The number as the transaction sees it.
    async fn count(&self, tx: &Tx, user: UserId) -> Result<i64>;
}

/// The counters of all domains, in the order of their names.
#[derive(Default)]
pub(crate) struct UnreadCounters(RwLock<Vec<Arc<dyn UnreadCounter>>>);

impl UnreadCounters {
    pub(crate) fn add(&self, counter: Arc<dyn UnreadCounter>) {
        let mut counters = self.0.write().unwrap_or_else(PoisonError::into_inner);
        counters.retain(|known| known.name() != counter.name());
        counters.push(counter);
        counters.sort_by_key(|counter| counter.name());
    }

    pub(crate) fn all(&self) -> Vec<Arc<dyn UnreadCounter>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
