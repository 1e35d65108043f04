//! What all services share: the database, the settings and the host; access, blocks, frames and limits.

pub(crate) mod access;
pub(crate) mod blocks;
pub(crate) mod content;
pub(crate) mod frames;
pub(crate) mod limits;
pub(crate) mod receipts;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use guildhall_files::Files;
use guildhall_kernel::{
    self as kernel, Clock, Db, Directory, Person, PublicUrl, Timestamp, UserId,
    cipher::KeyRing,
    db::{Failure, Tx},
    http::PageFetcher,
};
use guildhall_realtime::Streams;
use tokio::sync::Notify;

use self::limits::Limits;
use crate::{
    error::{Error, Result},
    settings::Settings,
};

/// What messaging asks the host about its users, beside the [`Directory`].
#[async_trait]
pub trait PeopleSearch: Send + Sync + 'static {
    /// Those of these users who exist and are active, in any order.
    async fn active(&self, users: &[UserId]) -> kernel::Result<Vec<UserId>>;

    /// The active users whose user names begin with `prefix`, ignoring case, in the order of their user names. Only
    /// those after the user name `after`, if there is one.
    async fn search(&self, prefix: &str, after: Option<&str>, limit: u64) -> kernel::Result<Vec<Person>>;
}

/// The environment that the host provides.
#[derive(Clone)]
pub struct Host {
    /// The source of the current time.
    pub clock: Clock,
    /// Looks up users by id.
    pub directory: Arc<dyn Directory>,
    /// Searches users by name.
    pub people: Arc<dyn PeopleSearch>,
    /// The streams that the events of conversations are appended to.
    pub streams: Streams,
    /// The file store.
    pub files: Files,
    /// Fetches linked pages for previews, unless the settings disable them; without it, links have no previews.
    pub page_fetcher: Option<Arc<dyn PageFetcher>>,
    /// The URL that the router is nested at.
    pub mount: PublicUrl,
    /// The keys that messages and drafts are encrypted with. The streams have theirs.
    pub keys: KeyRing,
}

/// The database and the host, as all services use them.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) db: Db,
    pub(crate) settings: Settings,
    pub(crate) host: Host,
    pub(crate) limits: Arc<Limits>,
    /// Wakes the link preview worker after a message with a link was stored.
    pub(crate) wake_previews: Arc<Notify>,
}

impl Core {
    pub(crate) fn new(db: Db, settings: Settings, mut host: Host) -> Self {
        host.page_fetcher = host.page_fetcher.filter(|_| settings.link_previews);
        let limits = Arc::new(Limits::new(&settings));
        Self { db, settings, host, limits, wake_previews: Arc::default() }
    }

    pub(crate) async fn write<T, E, F, Fut>(&self, operation: F) -> Result<T, E>
    where
        E: Failure,
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.db.write(operation).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.host.clock.now()
    }

    /// Users by id, in one query.
    pub(crate) async fn people(&self, ids: impl IntoIterator<Item = UserId>) -> Result<HashMap<UserId, Person>> {
        Ok(self.host.directory.people_by_id(ids).await?)
    }

    /// A user. 404 if there is none.
    pub(crate) async fn person(&self, id: UserId) -> Result<Person> {
        self.people([id]).await?.remove(&id).ok_or(Error::UserNotFound)
    }

    /// 404 unless all of these users are active.
    pub(crate) async fn require_active(&self, users: &[UserId]) -> Result<()> {
        let active = self.host.people.active(users).await?;
        if users.iter().all(|user| active.contains(user)) { Ok(()) } else { Err(Error::UserNotFound) }
    }
}
