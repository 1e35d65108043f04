//! Web pushes: they are enqueued in the outbox for each browser of the recipient, and delivered from there.

use std::time::Duration;

use async_trait::async_trait;
use axum::http::Uri;
use guildhall_kernel::{
    UserId,
    db::{self, Tx},
    mail::DeliveryError,
    outbox::{OutboxMessage, Transport},
};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    NotificationId, NotificationKind, Result, SubscriptionId, Target,
    core::Core,
    entity::{notification, subscription},
    push::{Outcome, PushAddress, PushMessage},
};

/// The channel of the outbox.
const CHANNEL: &str = "web_push";
/// How many pushes are sent concurrently, so that a slow push service delays few others.
const CONCURRENCY: usize = 16;
/// How long the outbox retries a push, and how long the push service keeps it for a browser that is offline.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

const DELETE: &str = "DELETE FROM notifications_subscription WHERE id = $1";
const SET_FAILED: &str = "UPDATE notifications_subscription SET failed_at = $1 WHERE id = $2";

/// What a web push says.
#[derive(Serialize, Deserialize)]
pub(super) struct PushContent {
    pub(super) user: UserId,
    /// The notification, unless it is not on the page or there are several.
    pub(super) notification: Option<NotificationId>,
    pub(super) kind: Option<NotificationKind>,
    pub(super) target: Option<Target>,
    pub(super) text: String,
}

/// A web push to one browser, in the outbox.
#[derive(Serialize, Deserialize)]
struct Queued<C> {
    subscription: SubscriptionId,
    content: C,
}

/// Enqueues a web push to each browser of its recipient.
pub(super) async fn enqueue(core: &Core, tx: &Tx, content: &PushContent) -> Result<()> {
    let subscriptions = subscription::Entity::find()
        .filter(subscription::COLUMN.user_id.eq(content.user))
        .order_by_asc(subscription::Column::Id)
        .all(tx)
        .await?;
    for row in subscriptions {
        let payload = serde_json::to_string(&Queued { subscription: row.id, content });
        let payload = payload.map_err(guildhall_kernel::Error::internal)?;
        // The whole URL is a secret of the browser.
        let uri = row.endpoint.parse::<Uri>().unwrap_or_default();
        let (recipient, user) = (uri.host().unwrap_or_default(), Some(content.user));
        let message = OutboxMessage { channel: CHANNEL, user, recipient, title: "notification", payload };
        core.host.outbox.enqueue(tx, message, LIFETIME).await?;
    }
    Ok(())
}

/// Delivers web pushes from the outbox.
#[derive(Clone)]
pub struct Pushes {
    pub(crate) core: Core,
}

impl Pushes {
    /// Whether there is still something to send to the recipient: they have not read it, and may still see it.
    async fn is_wanted(&self, content: &PushContent) -> Result<bool> {
        if let Some(id) = content.notification {
            let unread = notification::Entity::find_by_id(id).filter(notification::COLUMN.read_at.is_null());
            if unread.one(self.core.db.conn()).await?.is_none() {
                return Ok(false);
            }
        }
        let visible = self.core.visible(content.user, content.target.as_slice()).await?;
        Ok(visible.allows(content.target.as_ref()))
    }

    fn message(&self, content: &PushContent) -> PushMessage {
        let home = self.core.host.branding.home.to_string();
        let body = json!({
            "title": self.core.host.branding.service,
            "body": content.text,
            "kind": content.kind,
            "notification": content.notification,
            "url": content.target.as_ref().map_or(home.as_str(), |target| target.url.as_str()),
        });
        PushMessage {
            body: body.to_string().into_bytes(),
            topic: content.notification.map(|id| format!("notification-{id}")),
            lifetime: LIFETIME,
        }
    }

    async fn store_outcome(&self, row: &subscription::Model, outcome: &Outcome) -> Result<(), DbErr> {
        let failed_at = Some(self.core.now());
        self.core
            .db
            .write(|tx| async move {
                match outcome {
                    Outcome::Gone => db::execute(&tx, DELETE, [row.id.into()]).await,
                    Outcome::Failed(DeliveryError::Permanent(_)) => {
                        db::execute(&tx, SET_FAILED, [failed_at.into(), row.id.into()]).await
                    }
                    Outcome::Delivered if row.failed_at.is_some() => {
                        db::execute(&tx, SET_FAILED, [Option::<i64>::None.into(), row.id.into()]).await
                    }
                    _ => Ok(0),
                }
            })
            .await
            .map(|_| ())
    }
}

#[async_trait]
impl Transport for Pushes {
    fn channel(&self) -> &'static str {
        CHANNEL
    }

    fn at_once(&self) -> usize {
        CONCURRENCY
    }

    async fn deliver(&self, _: i64, payload: &str) -> Result<(), DeliveryError> {
        let transient = |error: crate::Error| DeliveryError::Transient(error.to_string());
        let queued: Queued<PushContent> =
            serde_json::from_str(payload).map_err(|error| DeliveryError::Permanent(error.to_string()))?;
        let Some(sender) = &self.core.host.push_sender else {
            return Err(DeliveryError::Permanent("Web push is disabled on this server.".to_owned()));
        };
        // The browser may have been removed meanwhile, or another user has signed in there.
        let row = subscription::Entity::find_by_id(queued.subscription)
            .filter(subscription::COLUMN.user_id.eq(queued.content.user))
            .one(self.core.db.conn())
            .await
            .map_err(|error| transient(error.into()))?;
        let Some(row) = row else { return Ok(()) };
        if !self.is_wanted(&queued.content).await.map_err(transient)? {
            return Ok(());
        }
        let address =
            PushAddress { endpoint: row.endpoint.clone(), p256dh: row.p256dh.clone(), auth: row.auth.clone() };
        let outcome = sender.send(&address, &self.message(&queued.content)).await;
        self.store_outcome(&row, &outcome).await.map_err(|error| transient(error.into()))?;
        match outcome {
            Outcome::Delivered | Outcome::Gone => Ok(()),
            Outcome::Failed(error) => Err(error),
        }
    }
}
