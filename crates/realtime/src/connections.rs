//! The open sockets of this process.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use guildhall_kernel::{Caller, Roles, Timestamp, UserId};
use tokio::sync::Notify;

use crate::close::Close;

/// How long before the expiry of its credentials a client is notified.
pub(crate) const EXPIRY_NOTICE: Duration = Duration::from_secs(60);
/// How long after the expiry a socket stays open.
const EXPIRY_GRACE: Duration = Duration::from_secs(30);

/// What the process knows of a socket.
pub(crate) struct Connection {
    pub(crate) id: u64,
    user: UserId,
    /// With the session or the token of the latest credentials, and the current roles.
    caller: Mutex<Caller>,
    /// Wakes the task of the socket.
    pub(crate) wake: Arc<Notify>,
    close: Mutex<Option<Close>>,
    is_ping_due: AtomicBool,
    /// The tick in which the client was last heard of.
    heard: AtomicU64,
    /// When the credentials expire, in microseconds since the Unix epoch.
    expires_at: AtomicI64,
}

fn expiry(caller: &Caller) -> i64 {
    caller.expires_at.map_or(i64::MAX, Timestamp::unix_micros)
}

impl Connection {
    /// The caller of the latest credentials, with the current roles.
    pub(crate) fn caller(&self) -> Caller {
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_roles(&self, roles: Roles) {
        let mut caller = self.caller.lock().unwrap_or_else(PoisonError::into_inner);
        if caller.roles != roles {
            caller.roles = roles;
            self.wake.notify_one();
        }
    }

    /// Takes the session and the expiry of fresh credentials.
    pub(crate) fn renew(&self, caller: &Caller) {
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = *caller;
        self.expires_at.store(expiry(caller), Ordering::Relaxed);
    }

    fn expires_at(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.expires_at.load(Ordering::Relaxed))
    }

    /// Asks the task of the socket to close it. The first reason counts.
    pub(crate) fn close(&self, reason: Close) {
        self.close.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.wake.notify_one();
    }

    /// Why the socket should be closed.
    pub(crate) fn closing(&self) -> Option<Close> {
        *self.close.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a ping should be sent.
    pub(crate) fn is_ping_due(&self) -> bool {
        self.is_ping_due.load(Ordering::Acquire)
    }

    /// Whether a ping should be sent, until the next one is due.
    pub(crate) fn take_ping(&self) -> bool {
        self.is_ping_due.swap(false, Ordering::AcqRel)
    }
}

/// Keeps a socket among the open ones.
pub(crate) struct Registration<'a> {
    connections: &'a Connections,
    connection: Arc<Connection>,
}

impl Deref for Registration<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.connections.remove(&self.connection);
    }
}

/// The open sockets of this process.
#[derive(Default)]
pub(crate) struct Connections {
    by_user: Mutex<HashMap<UserId, Vec<Arc<Connection>>>>,
    /// The users whose sockets are to be checked.
    to_check: Mutex<BTreeSet<UserId>>,
    /// Notified when there are such users.
    has_to_check: Notify,
    last_id: AtomicU64,
    /// Seconds since the process began to serve.
    ticks: AtomicU64,
    is_stopping: AtomicBool,
}

impl Connections {
    /// Adds a socket, until the registration is dropped. If the user has `limit` already, the oldest one is closed.
    pub(crate) fn add(&self, caller: &Caller, wake: Arc<Notify>, limit: usize) -> Registration<'_> {
        let connection = Arc::new(Connection {
            id: self.last_id.fetch_add(1, Ordering::Relaxed) + 1,
            user: caller.user,
            caller: Mutex::new(*caller),
            wake,
            close: Mutex::default(),
            is_ping_due: AtomicBool::new(false),
            heard: AtomicU64::new(self.ticks.load(Ordering::Relaxed)),
            expires_at: AtomicI64::new(expiry(caller)),
        });
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        let own = by_user.entry(caller.user).or_default();
        let open = own.iter().filter(|other| other.closing().is_none()).count();
        if open >= limit.max(1)
            && let Some(oldest) = own.iter().find(|other| other.closing().is_none())
        {
            oldest.close(Close::Replaced);
        }
        own.push(connection.clone());
        drop(by_user);
        if self.is_stopping.load(Ordering::Acquire) {
            connection.close(Close::Restart);
        }
        Registration { connections: self, connection }
    }

    fn remove(&self, connection: &Arc<Connection>) {
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = by_user.get_mut(&connection.user) {
            own.retain(|other| !Arc::ptr_eq(other, connection));
            if own.is_empty() {
                by_user.remove(&connection.user);
            }
        }
    }

    /// The number of open sockets.
    pub(crate) fn count(&self) -> usize {
        self.by_user.lock().unwrap_or_else(PoisonError::into_inner).values().map(Vec::len).sum()
    }

    /// The callers of all sockets.
    pub(crate) fn callers(&self) -> Vec<Caller> {
        let by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        by_user.values().flatten().map(|connection| connection.caller()).collect()
    }

    /// The callers of the sockets of these users.
    pub(crate) fn callers_of(&self, users: impl IntoIterator<Item = UserId>) -> Vec<Caller> {
        let by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        let own = users.into_iter().filter_map(|user| by_user.get(&user)).flatten();
        own.map(|connection| connection.caller()).collect()
    }

    /// Has the sockets of a user checked, if there are any.
    pub(crate) fn check_later(&self, user: UserId) {
        if self.by_user.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&user) {
            self.to_check.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
            self.has_to_check.notify_one();
        }
    }

    /// Waits until sockets are to be checked, and returns their callers.
    pub(crate) async fn to_check(&self) -> Vec<Caller> {
        self.has_to_check.notified().await;
        let users = std::mem::take(&mut *self.to_check.lock().unwrap_or_else(PoisonError::into_inner));
        self.callers_of(users)
    }

    /// Closes the sockets of a caller, whose session or token has ended.
    pub(crate) fn revoke(&self, caller: &Caller) {
        let by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        let own = by_user.get(&caller.user).into_iter().flatten();
        let credentials = |caller: &Caller| (caller.session, caller.token);
        own.filter(|connection| credentials(&connection.caller()) == credentials(caller))
            .for_each(|connection| connection.close(Close::Revoked));
    }

    /// Takes note of the current roles of a user.
    pub(crate) fn set_roles(&self, user: UserId, roles: Roles) {
        let by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        by_user.get(&user).into_iter().flatten().for_each(|connection| connection.set_roles(roles));
    }

    /// Closes all sockets, also those to come.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        let by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        by_user.values().flatten().for_each(|connection| connection.close(Close::Restart));
    }

    /// Records that a client has sent something.
    pub(crate) fn hear(&self, connection: &Connection) {
        connection.heard.store(self.ticks.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// To be called every second: has pings sent at their interval, has clients notified that their credentials expire,
    /// and closes silent and expired sockets.
    pub(crate) fn tick(&self, time: Timestamp, heartbeat_seconds: u64, idle_seconds: u64) {
        let now = self.ticks.fetch_add(1, Ordering::Relaxed) + 1;
        let heartbeat = heartbeat_seconds.max(1);
        for connection in self.by_user.lock().unwrap_or_else(PoisonError::into_inner).values().flatten() {
            if now.saturating_sub(connection.heard.load(Ordering::Relaxed)) > idle_seconds {
                connection.close(Close::Silent);
            } else if connection.expires_at() + EXPIRY_GRACE <= time {
                connection.close(Close::Expired);
            } else if now % heartbeat == connection.id % heartbeat {
                // Spread over the interval by the number of the socket.
                connection.is_ping_due.store(true, Ordering::Release);
                connection.wake.notify_one();
            } else if connection.expires_at() <= time + EXPIRY_NOTICE {
                connection.wake.notify_one();
            }
        }
    }
}
