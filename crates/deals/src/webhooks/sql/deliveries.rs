//! Deliveries: how they are stored, listed and retried, and the job that maintains them.

use std::time::Duration;

use async_trait::async_trait;
use guildhall_kernel::{
    CursorPage, CursorQuery, Timestamp,
    db::{self, Tx},
    job::Job,
    outbox::OutboxMessage,
    secret::random,
};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};
use serde_json::{Value, json};

use super::{active::update_has_webhooks, sending::CHANNEL};
use crate::{
    Delivery, DeliveryId, DeliveryStatus, Error, OrganizationId, Result, SqlWebhooks,
    entity::{delivery, organization, webhook},
};

/// How long the outbox retries a message.
const LIFETIME: Duration = Duration::from_secs(3 * 24 * 3600);
/// After this, the outbox has certainly given up.
const MAX_PENDING: Duration = Duration::from_secs(3 * 24 * 3600 + 3600);
/// A webhook that has failed for this long is deactivated.
const MAX_FAILING: Duration = Duration::from_secs(5 * 24 * 3600);
/// How long deliveries are stored.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many deliveries are deleted in one transaction.
const BATCH: u64 = 1000;

const DELETE_OLD: &str = "DELETE FROM deals_delivery WHERE id IN \
    (SELECT id FROM deals_delivery WHERE created_at < $1 ORDER BY created_at LIMIT $2)";

const GIVE_UP: &str = "UPDATE deals_delivery SET status = 'failed' WHERE status = 'pending' AND tried_until < $1";

const FAILING_ORGANIZATIONS: &str =
    "SELECT DISTINCT org_id FROM deals_webhook WHERE is_active AND failing_since < $1 LIMIT $2";

const DEACTIVATE_FAILING: &str = "UPDATE deals_webhook SET is_active = false, updated_at = $1 \
    WHERE org_id = $2 AND is_active AND failing_since < $3";

pub(super) fn show_delivery(row: delivery::Model) -> Delivery {
    Delivery {
        id: row.id,
        message_id: row.message_id,
        event: row.event,
        body: serde_json::from_str(&row.body).unwrap_or_default(),
        status: row.status,
        attempts: row.attempts,
        response_status: row.response_status,
        last_error: row.last_error,
        created_at: row.created_at,
        tried_at: row.tried_at,
    }
}

/// The deliveries of a webhook, newest first.
pub(super) async fn page_of(
    conn: &impl ConnectionTrait,
    hook: &webhook::Model,
    page: &CursorQuery,
) -> Result<CursorPage<Delivery>> {
    let query = delivery::Entity::find()
        .filter(delivery::COLUMN.org_id.eq(hook.org_id))
        .filter(delivery::COLUMN.webhook_id.eq(hook.id));
    let rows = page.apply(query, delivery::Column::Id).all(conn).await?;
    let (rows, page) = CursorPage::from_rows(rows, |row: &delivery::Model| row.id.0, page).split();
    Ok(page.with_results(rows.into_iter().map(show_delivery).collect()))
}

impl SqlWebhooks {
    /// Stores a delivery of a message to a webhook, and enqueues it.
    pub(super) async fn create_delivery(
        &self,
        tx: &Tx,
        hook: &webhook::Model,
        event: &str,
        at: Timestamp,
        data: &Value,
    ) -> Result<delivery::Model> {
        let now = self.core.now();
        let id: String = random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let row = delivery::ActiveModel {
            id: NotSet,
            org_id: Set(hook.org_id),
            webhook_id: Set(hook.id),
            message_id: Set(format!("msg_{id}")),
            event: Set(event.to_owned()),
            body: Set(json!({ "type": event, "timestamp": at, "data": data }).to_string()),
            status: Set(DeliveryStatus::Pending),
            attempts: Set(0),
            response_status: Set(None),
            last_error: Set(None),
            created_at: Set(now),
            tried_at: Set(None),
            tried_until: Set(now + MAX_PENDING),
        };
        let row = row.insert(tx).await?;
        self.enqueue(tx, hook, &row).await?;
        Ok(row)
    }

    /// Enqueues a delivered or failed delivery again, with the same message id.
    pub(super) async fn retry_delivery(
        &self,
        tx: &Tx,
        hook: &webhook::Model,
        id: DeliveryId,
    ) -> Result<delivery::Model> {
        db::lock::<delivery::Entity>(tx, id).await?;
        let query = delivery::Entity::find_by_id(id)
            .filter(delivery::COLUMN.org_id.eq(hook.org_id))
            .filter(delivery::COLUMN.webhook_id.eq(hook.id));
        let before = query.one(tx).await?.ok_or(Error::NotFound("delivery"))?;
        if before.status == DeliveryStatus::Pending || !hook.is_active {
            return Err(Error::IllegalTransition("The delivery is still pending, or the webhook is inactive."));
        }
        let mut after = before.clone();
        after.status = DeliveryStatus::Pending;
        after.tried_until = self.core.now() + MAX_PENDING;
        db::store_changes(tx, &before, &after).await?;
        self.enqueue(tx, hook, &after).await?;
        Ok(after)
    }

    async fn enqueue(&self, tx: &Tx, hook: &webhook::Model, row: &delivery::Model) -> Result<()> {
        let message = OutboxMessage {
            channel: CHANNEL,
            user: None,
            recipient: &hook.url,
            title: &row.event,
            payload: row.id.to_string(),
        };
        self.core.host.outbox.enqueue(tx, message, LIFETIME).await?;
        Ok(())
    }
}

/// Deletes old deliveries, marks those as failed that the outbox has given up, and deactivates webhooks that have
/// failed for too long.
#[async_trait]
impl Job for SqlWebhooks {
    fn name(&self) -> &'static str {
        "deals.webhooks"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn run(&self) -> guildhall_kernel::Result<()> {
        let now = self.core.now();
        let (oldest, failing_since) = (now - RETENTION, now - MAX_FAILING);
        loop {
            let deleted = self
                .core
                .db
                .write(|tx| async move { db::execute(&tx, DELETE_OLD, [oldest.into(), BATCH.into()]).await });
            if deleted.await? < BATCH {
                break;
            }
        }
        self.core.db.write(|tx| async move { db::execute(&tx, GIVE_UP, [now.into()]).await }).await?;
        let failing = [failing_since.into(), BATCH.into()];
        for org in db::scalars::<OrganizationId>(self.core.db.conn(), FAILING_ORGANIZATIONS, failing).await? {
            let deactivated: Result<()> = self
                .core
                .db
                .write(|tx| async move {
                    // As for every change of webhooks, so that `has_webhooks` is computed from current rows.
                    db::lock::<organization::Entity>(&tx, org).await?;
                    db::execute(&tx, DEACTIVATE_FAILING, [now.into(), org.into(), failing_since.into()]).await?;
                    update_has_webhooks(&tx, org).await
                })
                .await;
            deactivated?;
        }
        Ok(())
    }
}
