//! What waits for a subscriber.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use axum::extract::ws::Utf8Bytes;
use guildhall_kernel::UserId;
use tokio::sync::Notify;

use super::lock;

/// How many transient events wait for a subscriber; further ones are dropped.
const MAX_TRANSIENT: usize = 16;
/// How many values, and transient events before them, wait for a subscriber; the oldest ones are dropped for further
/// ones.
const MAX_WAITING: usize = 64;

/// What a channel and a subscription share.
pub(crate) struct Slot {
    user: UserId,
    is_ready: AtomicBool,
    transient: Mutex<Vec<Transient>>,
    wake: Arc<Notify>,
}

/// Something that is not stored.
pub(super) struct Transient {
    /// The name of a value, of which the newest version is enough.
    pub(super) value: Option<Arc<str>>,
    pub(super) body: Utf8Bytes,
}

impl Slot {
    pub(super) fn new(user: UserId, wake: Arc<Notify>) -> Self {
        Self { user, is_ready: AtomicBool::new(false), transient: Mutex::default(), wake }
    }

    /// Whether something has arrived since the last call.
    pub(crate) fn take_ready(&self) -> bool {
        self.is_ready.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn set_ready(&self) {
        // A subscriber that was already woken and has not looked yet is not woken again. Whoever has published something
        // holds the lock that the subscriber takes after it has looked, so what is read here is not outdated. Reading
        // first keeps the many slots of a stream from moving between the caches of the cores for every event.
        if !self.is_ready.load(Ordering::Relaxed) && !self.is_ready.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    pub(crate) fn user(&self) -> UserId {
        self.user
    }

    pub(crate) fn take_transient(&self) -> Vec<Utf8Bytes> {
        std::mem::take(&mut *lock(&self.transient)).into_iter().map(|transient| transient.body).collect()
    }

    pub(super) fn add_transient(&self, transient: Transient) {
        let mut waiting = lock(&self.transient);
        if transient.value.is_some() {
            waiting.retain(|other| other.value != transient.value);
            if waiting.len() >= MAX_WAITING {
                let oldest = waiting.iter().position(|other| other.value.is_none()).unwrap_or_default();
                waiting.remove(oldest);
            }
        } else if waiting.len() >= MAX_TRANSIENT {
            return;
        }
        waiting.push(transient);
        self.set_ready();
    }
}
