//! The state of the routes.

use std::sync::Arc;

use axum::extract::FromRef;
use guildhall_kernel::{Auth, PublicUrl};

use crate::{Notifications, Preferences, PushSubscriptions, SqlNotifications};

/// The state of the routes.
#[derive(Clone, FromRef)]
pub struct NotificationsState {
    /// The notifications of users.
    pub notifications: Arc<dyn Notifications>,
    /// Through which channels users get them.
    pub preferences: Arc<dyn Preferences>,
    /// The browsers that receive web pushes.
    pub subscriptions: Arc<dyn PushSubscriptions>,
    /// Authenticates the caller.
    pub auth: Auth,
    /// The prefix of the absolute URLs in lists.
    pub url: PublicUrl,
}

impl NotificationsState {
    /// The state for services on a database. `url` is the public address of the host.
    pub fn new(services: &SqlNotifications, auth: Auth, url: PublicUrl) -> Self {
        let all = Arc::new(services.clone());
        Self { notifications: all.clone(), preferences: all.clone(), subscriptions: all, auth, url }
    }
}
