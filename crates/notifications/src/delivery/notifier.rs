//! The subscriber to the events of all sources, and the delivery of the notifications that they cause.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use guildhall_kernel::{
    Person, UserId,
    db::{self, Tx},
    event::{Emitted, Subscriber},
};
use guildhall_realtime::{About, OwnStream};
use sea_orm::{ActiveEnum, QueryFilter, QueryOrder, sea_query::LockType};
use serde::Serialize;

use super::{
    grouping::{self, Stored},
    pushes::{self, PushContent},
    queue,
};
use crate::{
    Channel, Notification, Result, Target,
    core::{Core, preferences::OwnPreferences, sentence::Sentence},
    entity,
};

/// How many recipients are delivered to concurrently.
const CONCURRENCY: usize = 8;
/// How often the queue is polled, for retries and for other processes.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Stores an email or a web push that is sent later. A notification has at most one of each.
const ADD_DUE: &str = "INSERT INTO notifications_due (recipient_id, channel, notification_id, kind, actor_id, \
     target_kind, target_id, target_url, subject, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
     ON CONFLICT (notification_id, channel) WHERE notification_id IS NOT NULL DO NOTHING";

/// Notifies users of the events of all sources. The host registers it as a subscriber, and runs
/// [`deliver_forever`](Self::deliver_forever).
#[derive(Clone)]
pub struct Notifier {
    pub(crate) core: Core,
}

/// A notification as it is sent to sockets.
#[derive(Serialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    frame_type: &'static str,
    #[serde(flatten)]
    notification: &'a Notification,
}

#[async_trait]
impl Subscriber for Notifier {
    fn name(&self) -> &'static str {
        "notifications"
    }

    fn events(&self) -> Vec<&'static str> {
        let events: BTreeSet<_> = self.core.host.sources.iter().flat_map(|source| source.events()).collect();
        events.into_iter().collect()
    }

    async fn handle(&self, tx: &Tx, event: &Emitted) -> guildhall_kernel::Result<()> {
        for source in self.core.host.sources.iter() {
            if !source.events().contains(&event.name.as_str()) {
                continue;
            }
            for new in source.notifications(tx, event).await? {
                if new.actor != Some(new.recipient) {
                    queue::store(&self.core, tx, event, new).await?;
                }
            }
        }
        let wake = self.core.wake.clone();
        tx.after_commit(move || wake.notify_one());
        Ok(())
    }
}

impl Notifier {
    /// Delivers the notifications that are due until it is dropped.
    pub async fn deliver_forever(&self) {
        loop {
            // Woken by this process; another process is noticed by polling.
            let _ = tokio::time::timeout(POLL_INTERVAL, self.core.wake.notified()).await;
            if let Err(error) = self.deliver().await {
                tracing::error!(error = %guildhall_kernel::Error::from(error), "could not deliver notifications");
            }
        }
    }

    /// Delivers the notifications that are due, and returns how many these were. Safe to run on several nodes.
    pub async fn deliver(&self) -> Result<u64> {
        let mut delivered = 0;
        loop {
            let due = queue::due(&self.core).await?;
            if due.is_empty() {
                return Ok(delivered);
            }
            let people = self.core.people(due.iter().filter_map(|row| row.actor_id)).await?;
            let mut by_recipient: BTreeMap<UserId, Vec<entity::queue::Model>> = BTreeMap::new();
            for row in due {
                by_recipient.entry(row.recipient_id).or_default().push(row);
            }
            let deliveries: Vec<_> =
                by_recipient.iter().map(|(recipient, rows)| self.deliver_to(*recipient, rows, &people)).collect();
            let outcomes: Vec<Result<u64>> = stream::iter(deliveries).buffer_unordered(CONCURRENCY).collect().await;
            for outcome in outcomes {
                delivered += outcome?;
            }
        }
    }

    /// Delivers notifications to one recipient. If that fails, it is tried again later.
    async fn deliver_to(
        &self,
        recipient: UserId,
        rows: &[entity::queue::Model],
        people: &HashMap<UserId, Person>,
    ) -> Result<u64> {
        match self.try_to_deliver(recipient, rows, people).await {
            Ok(delivered) => Ok(delivered),
            Err(error) => {
                let error = guildhall_kernel::Error::from(error);
                tracing::error!(user.id = recipient.0, %error, "could not deliver notifications to a user");
                queue::postpone(&self.core, rows).await?;
                Ok(0)
            }
        }
    }

    async fn try_to_deliver(
        &self,
        recipient: UserId,
        rows: &[entity::queue::Model],
        people: &HashMap<UserId, Person>,
    ) -> Result<u64> {
        let targets: Vec<Target> = rows.iter().filter_map(entity::queue::Model::target).collect();
        let visible = &self.core.visible(recipient, &targets).await?;
        self.core
            .db
            .write(|tx| async move {
                // Only one of several nodes delivers a notification.
                let ids = rows.iter().map(|row| row.id);
                let waiting = queue::waiting()
                    .filter(entity::queue::COLUMN.id.is_in(ids))
                    .order_by_asc(entity::queue::Column::Id);
                db::lock_rows(&tx, || waiting.clone(), LockType::NoKeyUpdate).await?;
                let waiting = waiting.all(&tx).await?;
                if waiting.is_empty() {
                    return Ok(0);
                }
                let version = self.core.lock_unread(&tx, recipient).await?;
                let preferences = OwnPreferences::load(&tx, recipient).await?;
                let mut has_changed = false;
                for row in waiting.iter().filter(|row| visible.allows(row.target().as_ref())) {
                    has_changed |= self.notify(&tx, row, &preferences, people).await?;
                }
                queue::mark_delivered(&tx, &waiting).await?;
                if has_changed {
                    self.core.publish_unread(&tx, recipient, version).await?;
                }
                Ok(waiting.len() as u64)
            })
            .await
    }

    /// Delivers one notification through the channels that its recipient has chosen; returns whether it is on the page.
    async fn notify(
        &self,
        tx: &Tx,
        row: &entity::queue::Model,
        preferences: &OwnPreferences,
        people: &HashMap<UserId, Person>,
    ) -> Result<bool> {
        let now = self.core.now();
        let is_on = |channel| preferences.is_on(row.kind, channel);
        let stored = if is_on(Channel::Page) {
            let Some(stored) = grouping::add(tx, row, now).await? else { return Ok(false) };
            Some(stored)
        } else {
            None
        };
        let text = if let Some(Stored { row, .. }) = &stored {
            let notification = self.core.show(row, people);
            let frame = Frame { frame_type: "notification", notification: &notification };
            let (streams, own) = (&self.core.host.streams, &OwnStream::of(row.recipient_id));
            match row.actor_id {
                // It names the actor, and is erased when their account is removed.
                Some(actor) => {
                    let about = About { subject: OwnStream::of(actor), no: notification.id.0 };
                    streams.append_about(tx, own, &frame, about).await?
                }
                None => streams.append(tx, own, &frame).await?,
            };
            notification.text
        } else {
            let actor = row.actor_id.and_then(|id| people.get(&id));
            Sentence::single(row.kind, &row.subject, actor).to_string()
        };
        let is_new = stored.as_ref().is_none_or(|stored| stored.is_new);
        let due = |channel, at: guildhall_kernel::Timestamp| {
            let notification = stored.as_ref().map(|stored| stored.row.id);
            add_due(tx, row, channel, notification, at)
        };
        if is_on(Channel::Email) && is_new {
            due(Channel::Email, preferences.schedule().email_at(now)).await?;
        }
        if self.core.host.push_sender.is_some() && is_on(Channel::Push) && (is_new || row.kind.notifies_again()) {
            let at = preferences.schedule().push_at(now);
            if at > now {
                due(Channel::Push, at).await?;
            } else {
                let content = PushContent {
                    user: row.recipient_id,
                    notification: stored.as_ref().map(|stored| stored.row.id),
                    kind: Some(row.kind),
                    target: row.target().map(|target| self.core.with_absolute_url(target)),
                    text,
                };
                pushes::enqueue(&self.core, tx, &content).await?;
            }
        }
        Ok(stored.is_some())
    }
}

/// Stores an email or a web push that is sent later.
async fn add_due(
    tx: &Tx,
    row: &entity::queue::Model,
    channel: Channel,
    notification: Option<crate::NotificationId>,
    at: guildhall_kernel::Timestamp,
) -> Result<()> {
    let values = [
        row.recipient_id.into(),
        channel.to_value().into(),
        notification.into(),
        row.kind.to_value().into(),
        row.actor_id.into(),
        row.target_kind.clone().into(),
        row.target_id.into(),
        row.target_url.clone().into(),
        row.subject.as_str().into(),
        at.into(),
    ];
    db::execute(&tx.deferred(), ADD_DUE, values).await?;
    Ok(())
}
