//! Which users follow which streams.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use guildhall_kernel::UserId;
use tokio::runtime::Handle;

use crate::{
    StreamHandler, StreamName,
    peers::{Follower, Peers},
};

/// Counts the subscriptions of each user to the streams whose handlers ask for it.
#[derive(Clone)]
pub(crate) struct Followers(Arc<Inner>);

struct Inner {
    counts: Mutex<HashMap<Follower, usize>>,
    peers: Peers,
    /// Whether there may be other processes.
    has_peers: bool,
}

/// A subscription that is counted, until it is dropped.
pub(crate) struct Following {
    followers: Followers,
    handler: Arc<dyn StreamHandler>,
    key: Follower,
}

impl Followers {
    /// `has_peers`: whether there may be other processes.
    pub(crate) fn new(has_peers: bool) -> Self {
        Self(Arc::new(Inner { counts: Mutex::default(), peers: Peers::default(), has_peers }))
    }

    /// Counts a subscription, and notifies the handler of the first one.
    pub(crate) fn follow(&self, handler: Arc<dyn StreamHandler>, stream: &StreamName, user: UserId) -> Following {
        let key = (stream.clone(), user);
        let is_first = {
            let mut counts = self.lock();
            let count = counts.entry(key.clone()).or_default();
            *count += 1;
            *count == 1
        };
        let following = Following { followers: self.clone(), handler, key };
        if is_first {
            following.notify();
        }
        following
    }

    /// Whether a user follows a stream over this process.
    pub(crate) fn has(&self, follower: &Follower) -> bool {
        self.lock().contains_key(follower)
    }

    /// Whether a user follows a stream over any process, as far as is known.
    pub(crate) fn is_following(&self, follower: &Follower) -> bool {
        self.has(follower) || self.peers().is_following(follower)
    }

    /// The followers over the other processes.
    pub(crate) fn peers(&self) -> &Peers {
        &self.0.peers
    }

    /// The followers over this process.
    pub(crate) fn here(&self) -> Vec<Follower> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Follower, usize>> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Following {
    fn notify(&self) {
        if self.followers.0.has_peers {
            self.followers.peers().report_later(self.key.clone());
        }
        // Outside of a runtime, the process ends.
        let Ok(runtime) = Handle::try_current() else { return };
        let (handler, (stream, user)) = (self.handler.clone(), self.key.clone());
        runtime.spawn(async move { handler.follower_changed(&stream, user).await });
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let is_last = {
            let mut counts = self.followers.lock();
            let count = counts.get_mut(&self.key).map(|count| {
                *count = count.saturating_sub(1);
                *count
            });
            if count == Some(0) {
                counts.remove(&self.key);
            }
            count == Some(0)
        };
        if is_last {
            self.notify();
        }
    }
}
