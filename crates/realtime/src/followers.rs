//! Which users follow which streams over this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use guildhall_kernel::UserId;
use tokio::runtime::Handle;

use crate::{StreamHandler, StreamName};

/// Counts the subscriptions of each user to the streams whose handlers ask for it.
#[derive(Clone, Default)]
pub(crate) struct Followers(Arc<Mutex<HashMap<(StreamName, UserId), usize>>>);

/// A subscription that is counted, until it is dropped.
pub(crate) struct Following {
    followers: Followers,
    handler: Arc<dyn StreamHandler>,
    key: (StreamName, UserId),
}

impl Followers {
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

    /// Whether a user follows a stream.
    pub(crate) fn is_following(&self, stream: &StreamName, user: UserId) -> bool {
        self.lock().contains_key(&(stream.clone(), user))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(StreamName, UserId), usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Following {
    fn notify(&self) {
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
