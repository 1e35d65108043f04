//! What the services and the deliveries share: the database, the host, and how notifications are shown.

pub(crate) mod preferences;
pub(crate) mod schedule;
pub(crate) mod sentence;
pub(crate) mod unsubscribing;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use guildhall_kernel::{
    Clock, Db, Directory, HostTables, Outbox, Person, PublicUrl, Timestamp, UserId,
    db::{self, Tx},
    mail::EmailBranding,
    secret,
};
use guildhall_realtime::{OwnStream, Streams, UnreadCounter, Version};
use sea_orm::{ConnectionTrait, DbErr};
use tokio::sync::Notify;

use crate::{Notification, Result, Source, Target, UnreadCount, entity::notification, push::PushSender};
use sentence::Sentence;
use unsubscribing::UnsubscribeKey;

/// Counts the unread notifications of a user up to 100: nobody needs to know how many more there are.
const COUNT_UNREAD: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM notifications_notification \
     WHERE recipient_id = $1 AND read_at IS NULL LIMIT 100) AS unread";

/// The environment that the host provides.
#[derive(Clone)]
pub struct Host {
    /// The source of the current time.
    pub clock: Clock,
    /// The tables of the host.
    pub tables: HostTables,
    /// Looks up users, and their email addresses.
    pub directory: Arc<dyn Directory>,
    /// Sends emails and web pushes.
    pub outbox: Outbox,
    /// The streams of users.
    pub streams: Streams,
    /// The domains that notify users.
    pub sources: Arc<[Arc<dyn Source>]>,
    /// Sends web pushes; without it, there are none.
    pub push_sender: Option<Arc<dyn PushSender>>,
    /// The name of the service, and the base URL of the pages that notifications link to.
    pub branding: EmailBranding,
    /// The URL of the server. Emails link to `/unsubscribe/{token}/` there, a page over
    /// [`Unsubscribing`](crate::Unsubscribing).
    pub url: PublicUrl,
}

#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) db: Db,
    pub(crate) host: Host,
    pub(crate) unsubscribe_key: UnsubscribeKey,
    /// Wakes the delivery after notifications were stored in the queue.
    pub(crate) wake: Arc<Notify>,
}

/// What a user may see of some targets.
pub(crate) struct Visible(HashMap<String, HashSet<i64>>);

impl Visible {
    /// Whether the user may see a notification with this target.
    pub(crate) fn allows(&self, target: Option<&Target>) -> bool {
        target.is_none_or(|target| self.0.get(&target.kind).is_some_and(|ids| ids.contains(&target.id)))
    }
}

/// Counts unread notifications.
struct UnreadNotifications;

#[async_trait]
impl UnreadCounter for UnreadNotifications {
    fn name(&self) -> &'static str {
        "notifications"
    }

    async fn count(&self, tx: &Tx, user: UserId) -> guildhall_kernel::Result<i64> {
        Ok(count_unread(tx, user).await?.unread_count)
    }
}

impl Core {
    pub(crate) async fn open(db: Db, host: Host) -> Result<Self> {
        host.streams.register_unread(Arc::new(UnreadNotifications));
        let unsubscribe_key = UnsubscribeKey(secret::open(&db, "notifications.unsubscribe").await?);
        Ok(Self { db, host, unsubscribe_key, wake: Arc::default() })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.host.clock.now()
    }

    pub(crate) async fn people(&self, ids: impl IntoIterator<Item = UserId>) -> Result<HashMap<UserId, Person>> {
        Ok(self.host.directory.people_by_id(ids).await?)
    }

    /// Which of these targets a user may see now. Not to be called in a transaction.
    pub(crate) async fn visible(&self, user: UserId, targets: &[Target]) -> Result<Visible> {
        Ok(visible(&self.host.sources, user, targets).await?)
    }

    /// A notification as its recipient sees it.
    pub(crate) fn show(&self, row: &notification::Model, people: &HashMap<UserId, Person>) -> Notification {
        let actor = row.actor_id.and_then(|id| people.get(&id)).cloned();
        let sentence = Sentence {
            kind: row.kind,
            actor: actor.as_ref().map(|actor| actor.display_name.as_str()),
            actor_count: row.actor_count,
            event_count: row.event_count,
            subject: &row.subject,
        };
        Notification {
            id: row.id,
            kind: row.kind,
            text: sentence.to_string(),
            actor,
            actor_count: row.actor_count,
            target: row.target().map(|target| self.with_absolute_url(target)),
            created_at: row.created_at,
            updated_at: row.updated_at,
            is_read: row.read_at.is_some(),
        }
    }

    pub(crate) fn with_absolute_url(&self, target: Target) -> Target {
        let url = if target.url.starts_with('/') { self.host.branding.home.join(&target.url) } else { target.url };
        Target { url, ..target }
    }

    /// Has other transactions that change notifications of a user wait until this one ends, so that each counts what
    /// the others have changed. Call it before reading or changing notifications. Returns the version of what it counts.
    pub(crate) async fn lock_unread(&self, tx: &Tx, user: UserId) -> Result<Version> {
        Ok(self.host.streams.lock(tx, &OwnStream::of(user)).await?)
    }

    /// Sends the number of unread notifications to the sockets of a user, once the transaction has committed.
    pub(crate) async fn publish_unread(&self, tx: &Tx, user: UserId, version: Version) -> Result<()> {
        Ok(self.host.streams.publish_unread(tx, user, version).await?)
    }
}

/// Which of these targets a user may see now. Each source is asked once for each kind of target; one of an unknown kind
/// is hidden.
pub(crate) async fn visible(
    sources: &[Arc<dyn Source>],
    user: UserId,
    targets: &[Target],
) -> guildhall_kernel::Result<Visible> {
    let mut ids: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for target in targets {
        ids.entry(&target.kind).or_default().insert(target.id);
    }
    let mut visible = HashMap::new();
    for (kind, ids) in ids {
        let Some(source) = sources.iter().find(|source| source.targets().contains(&kind)) else { continue };
        let ids: Vec<i64> = ids.into_iter().collect();
        visible.insert(kind.to_owned(), source.may_see(user, kind, &ids).await?);
    }
    Ok(Visible(visible))
}

/// The number of unread notifications of a user.
pub(crate) async fn count_unread(conn: &impl ConnectionTrait, user: UserId) -> Result<UnreadCount, DbErr> {
    let unread_count = db::scalar(conn, COUNT_UNREAD, [user.into()]).await?.unwrap_or_default();
    Ok(UnreadCount { unread_count })
}
