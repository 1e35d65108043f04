//! What all services share: the database, the settings and the host; access, blocks, frames and limits.

pub(crate) mod access;
pub(crate) mod blocks;
pub(crate) mod frames;
pub(crate) mod limits;
pub(crate) mod receipts;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use guildhall_kernel::{
    self as kernel, Clock, Db, Directory, Person, Timestamp, UserId,
    db::{Failure, Tx},
};
use guildhall_realtime::Streams;
use sea_orm::Value;

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
}

/// The database and the host, as all services use them.
pub(crate) struct Core {
    pub(crate) db: Db,
    pub(crate) settings: Settings,
    pub(crate) host: Host,
    pub(crate) limits: Limits,
}

impl Core {
    pub(crate) fn new(db: Db, settings: Settings, host: Host) -> Self {
        let limits = Limits::new(&settings);
        Self { db, settings, host, limits }
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

/// Ids as the one value of a statement with a list of ids: a JSON array.
pub(crate) fn id_list(ids: impl IntoIterator<Item = i64>) -> Value {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    format!("[{}]", ids.join(",")).into()
}
