//! What all services share: the database, the settings and the host; access, the log of a room, frames and limits.

pub(crate) mod access;
pub(crate) mod activity;
pub(crate) mod connections;
pub(crate) mod frames;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod messages;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use guildhall_files::Files;
use guildhall_kernel::{
    self as kernel, Clock, Db, Directory, Error as KernelError, Person, PublicUrl, Timestamp, UserId,
    db::{Failure, Tx},
};
use guildhall_realtime::Streams;

use self::{activity::Activity, limits::Limits};
use crate::{
    error::{Error, Result},
    id::{MessageId, RoomId},
    settings::Settings,
};

/// What chat asks the host about its users, beside the [`Directory`].
#[async_trait]
pub trait ActiveUsers: Send + Sync + 'static {
    /// Those of these users who exist and are active, in any order.
    async fn active(&self, users: &[UserId]) -> kernel::Result<Vec<UserId>>;
}

/// The environment that the host provides.
#[derive(Clone)]
pub struct Host {
    /// The source of the current time.
    pub clock: Clock,
    /// Looks up users by id.
    pub directory: Arc<dyn Directory>,
    /// Reports which users are active.
    pub users: Arc<dyn ActiveUsers>,
    /// The streams that the events of rooms are appended to.
    pub streams: Streams,
    /// The files of messages.
    pub files: Files,
    /// The URL at which the router is nested.
    pub mount: PublicUrl,
}

/// The database and the host, as all services use them.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) db: Db,
    pub(crate) settings: Settings,
    pub(crate) host: Host,
    pub(crate) limits: Arc<Limits>,
    pub(crate) activity: Arc<Activity>,
    /// Identifies this process.
    pub(crate) node: String,
}

impl Core {
    pub(crate) fn new(db: Db, settings: Settings, host: Host) -> Self {
        let (limits, activity) = (Arc::new(Limits::new(&settings)), Arc::default());
        // Without random numbers, the start of the process still tells it from others on most machines.
        let node = random_hex().unwrap_or_else(|_| format!("{}-{}", std::process::id(), host.clock.now()));
        Self { db, settings, host, limits, activity, node }
    }

    /// The same with other URLs.
    pub(crate) fn mounted_at(&self, mount: PublicUrl, files: Files) -> Self {
        Self { host: Host { files, mount, ..self.host.clone() }, ..self.clone() }
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

    /// 404 unless this user is active.
    pub(crate) async fn require_active(&self, user: UserId) -> Result<()> {
        let active = self.host.users.active(&[user]).await?;
        if active.contains(&user) { Ok(()) } else { Err(Error::UserNotFound) }
    }

    /// How long a room stays open without its host.
    pub(crate) fn host_grace(&self) -> Duration {
        Duration::from_secs(self.settings.host_grace_seconds.into())
    }

    /// The address of the file of a message, at which access is checked.
    pub(crate) fn file_url(&self, room: RoomId, message: MessageId) -> String {
        self.host.mount.join(&format!("/chat/{room}/messages/{message}/file/"))
    }
}

/// 128 random bits in hexadecimal.
pub(crate) fn random_hex() -> kernel::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| KernelError::internal(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
