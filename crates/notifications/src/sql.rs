//! The services on a database.

mod notifications;
mod preferences;
mod subscriptions;
mod unsubscribing;

use std::sync::Arc;

use guildhall_kernel::{Db, job::Job};

use crate::{DueMessages, Host, NotificationStreams, Notifier, Pushes, Result, Retention, core::Core};

/// The services of notifications on a database.
#[derive(Clone)]
pub struct SqlNotifications {
    pub(crate) core: Core,
}

impl SqlNotifications {
    /// The services on a database whose migrations have run. Generates the key for unsubscribing on first use.
    pub async fn open(db: Db, host: Host) -> Result<Self> {
        Ok(Self { core: Core::open(db, host).await? })
    }

    /// The subscriber to the events of the sources, which delivers their notifications.
    pub fn notifier(&self) -> Notifier {
        Notifier { core: self.core.clone() }
    }

    /// Serves the streams of users. The host registers it at its streams, and keeps the services.
    pub fn own_streams(&self) -> NotificationStreams {
        NotificationStreams::new(&self.core)
    }

    /// The transport of the outbox for web pushes.
    pub fn pushes(&self) -> Pushes {
        Pushes { core: self.core.clone() }
    }

    /// Sends the emails and web pushes that are due.
    pub fn due_messages(&self) -> DueMessages {
        DueMessages { core: self.core.clone() }
    }

    /// Deletes old notifications.
    pub fn retention(&self) -> Retention {
        Retention { core: self.core.clone() }
    }

    /// The periodic jobs.
    pub fn jobs(&self) -> Vec<Arc<dyn Job>> {
        vec![Arc::new(self.due_messages()), Arc::new(self.retention())]
    }
}
