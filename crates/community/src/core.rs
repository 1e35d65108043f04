//! What the services of all areas share: the database, the settings and the host; who may read what; memberships,
//! counters and the moderation log.

pub(crate) mod access;
pub(crate) mod counters;
pub(crate) mod invites;
pub(crate) mod membership;
pub(crate) mod moderation_log;
pub(crate) mod rsvps;
pub(crate) mod scope;
pub(crate) mod text_index;

use std::{collections::HashMap, sync::Arc, time::Duration};

use guildhall_files::Files;
use guildhall_kernel::{
    Clock, Db, Directory, Outbox, Person, PublicUrl, Timestamp, UserId,
    db::{Failure, Pipeline, Tx},
    http::PageFetcher,
};
use tokio::sync::Notify;

use crate::{error::Result, settings::Settings};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The user table of the host, for searching members by name.
#[derive(Clone, Copy, Debug)]
pub struct UserTable {
    /// The name of the table.
    pub name: &'static str,
    /// The indexed column with search keys of names, folded like
    /// [`text::fold`](guildhall_kernel::text::fold).
    pub search_key: &'static str,
}

/// The environment that the host provides.
#[derive(Clone)]
pub struct Host {
    /// The source of the current time.
    pub clock: Clock,
    /// Looks up users by id.
    pub directory: Arc<dyn Directory>,
    /// The user table, for searching by name.
    pub users: UserTable,
    /// Sends email.
    pub outbox: Outbox,
    /// The file store.
    pub files: Files,
    /// Fetches linked pages for previews; without it, links have no previews.
    pub page_fetcher: Option<Arc<dyn PageFetcher>>,
    /// The name of the service, as shown in emails.
    pub name: String,
    /// The URL that the router is nested at.
    pub mount: PublicUrl,
    /// The base URL of links in emails.
    pub home: PublicUrl,
}

/// The database and the host, as the services of every area use them.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) db: Db,
    pub(crate) settings: Settings,
    pub(crate) host: Host,
    /// Wakes the link preview worker after a post with links was stored.
    pub(crate) wake_previews: Arc<Notify>,
}

impl Core {
    pub(crate) fn new(db: Db, settings: Settings, host: Host) -> Self {
        Self { db, settings, host, wake_previews: Arc::default() }
    }

    pub(crate) async fn write<T, E, F, Fut>(&self, operation: F) -> Result<T, E>
    where
        E: Failure,
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.db.write(operation).await
    }

    /// The connections for reads that do not depend on each other.
    pub(crate) fn pipeline(&self) -> Pipeline<'_> {
        self.db.conn().pipeline()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.host.clock.now()
    }

    /// Users by id, in one query.
    pub(crate) async fn people(&self, ids: impl IntoIterator<Item = UserId>) -> Result<HashMap<UserId, Person>> {
        Ok(self.host.directory.people_by_id(ids).await?)
    }
}

/// A duration of this many days.
pub(crate) fn days(count: i64) -> Duration {
    DAY.saturating_mul(u32::try_from(count).unwrap_or(0))
}
