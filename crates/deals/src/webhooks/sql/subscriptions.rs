//! Subscriptions of URLs to the events of an organization: the service.

use std::time::Duration;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, IfMatch, Ordering, Page, PageQuery, db};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
};
use serde_json::json;

use super::{
    active::update_has_webhooks,
    deliveries::{page_of, show_delivery},
    sending::{DISABLED, INACTIVE, encode_secret, new_secret},
};
use crate::{
    Delivery, DeliveryId, Error, IssuedWebhook, NewWebhook, OrganizationId, Result, SqlWebhooks, Webhook, WebhookId,
    WebhookPatch, Webhooks,
    core::{access::Access, rollups::sees_all},
    entity::{organization, webhook},
    event,
    permission::Permission,
};

/// The maximum number of webhooks of an organization.
pub(super) const MAX_WEBHOOKS: u64 = 20;
/// How long messages are also signed with the old secret.
const SECRET_OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// The permissions that the creator of a webhook needs for all objects, since events are about any of them.
pub(super) const REQUIRED: [Permission; 4] =
    [Permission::ClientRead, Permission::DealRead, Permission::PaymentRead, Permission::TaskRead];

pub(super) fn events_of(row: &webhook::Model) -> Vec<String> {
    serde_json::from_str(&row.events).unwrap_or_default()
}

fn check_events(events: &[String]) -> Result<String> {
    if let Some(unknown) = events.iter().find(|name| !event::is_known(name)) {
        let known: Vec<&str> = event::EVENTS.iter().map(|event| event.name).collect();
        return Err(Error::field("events", format!("Unknown event {unknown}. Choose from: {}.", known.join(", "))));
    }
    Ok(json!(events).to_string())
}

async fn find(conn: &impl ConnectionTrait, access: &Access, id: WebhookId) -> Result<webhook::Model> {
    let query = webhook::Entity::find_by_id(id).filter(webhook::COLUMN.org_id.eq(access.org.id));
    query.one(conn).await?.ok_or(Error::NotFound("webhook"))
}

/// Requires that the caller may manage webhooks and see everything that events are about.
fn require_full_access(access: &Access) -> Result<()> {
    access.may(Permission::WebhookManage)?;
    if sees_all(access, &REQUIRED) {
        return Ok(());
    }
    Err(Error::Escalation(
        "A webhook receives all events: you must be able to see all clients, deals, payments and tasks.",
    ))
}

impl SqlWebhooks {
    async fn show_webhooks(&self, rows: Vec<webhook::Model>) -> Result<Vec<Webhook>> {
        let people = self.core.members_as_people(self.core.db.conn(), rows.iter().map(|row| row.created_by)).await?;
        let show = |row: webhook::Model| Webhook {
            id: row.id,
            events: events_of(&row),
            url: row.url,
            is_active: row.is_active,
            failing_since: row.failing_since,
            created_by: people.get(row.created_by),
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }

    async fn show_webhook(&self, row: webhook::Model) -> Result<Webhook> {
        self.show_webhooks(vec![row]).await?.pop().ok_or(Error::NotFound("webhook"))
    }

    /// Rejects URLs that cannot receive webhooks.
    fn check_url(&self, url: &str) -> Result<()> {
        let refusal = match &self.core.host.webhook_sender {
            Some(sender) => sender.refuses(url),
            None => Some(DISABLED.to_owned()),
        };
        refusal.map_or(Ok(()), |reason| Err(Error::field("url", format!("This URL cannot be used: {reason}."))))
    }
}

#[async_trait]
impl Webhooks for SqlWebhooks {
    async fn webhooks(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Webhook>> {
        let conn = self.core.db.conn();
        let access = self.core.authorize(conn, caller, org, Permission::WebhookManage).await?;
        let select = webhook::Entity::find().filter(webhook::COLUMN.org_id.eq(access.org.id));
        let ordering = Ordering { fields: &[("id", webhook::Column::Id)], default: "id", id: webhook::Column::Id };
        let page = Page::<webhook::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.split();
        let shown = self.show_webhooks(rows).await?;
        Ok(page.with_results(|_| shown))
    }

    async fn create_webhook(&self, caller: &Caller, org: OrganizationId, new: NewWebhook) -> Result<IssuedWebhook> {
        new.validate()?;
        let access = self.core.access(self.core.db.conn(), caller, org).await?;
        require_full_access(&access)?;
        self.check_url(new.url.trim())?;
        let events = check_events(&new.events)?;
        let now = self.core.now();
        let row = &webhook::Model {
            id: WebhookId(0),
            org_id: org,
            url: new.url.trim().to_owned(),
            events,
            is_active: true,
            secret: new_secret()?,
            old_secret: None,
            old_secret_until: None,
            failing_since: None,
            failures: 0,
            paused_until: None,
            created_by: access.member.id,
            created_at: now,
            updated_at: now,
        };
        let row = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
                let access = self.core.access(conn, caller, org).await?;
                require_full_access(&access)?;
                let existing = webhook::Entity::find().filter(webhook::COLUMN.org_id.eq(org)).count(conn).await?;
                if existing >= MAX_WEBHOOKS {
                    let message = format!("An organization can have at most {MAX_WEBHOOKS} webhooks.");
                    return Err(Error::field("url", message));
                }
                let row = webhook::ActiveModel { id: NotSet, ..row.clone().into() }.reset_all().insert(conn).await?;
                update_has_webhooks(conn, org).await?;
                let detail = vec![("url", row.url.clone().into())];
                let object = ("webhook", row.id.0);
                self.core.record(conn, (caller, &access), "deals.create_webhook", object, detail).await?;
                Ok::<_, Error>(row)
            })
            .await?;
        let secret = encode_secret(&row.secret);
        Ok(IssuedWebhook { webhook: self.show_webhook(row).await?, secret })
    }

    async fn webhook(&self, caller: &Caller, org: OrganizationId, id: WebhookId) -> Result<Webhook> {
        let access = self.core.authorize(self.core.db.conn(), caller, org, Permission::WebhookManage).await?;
        self.show_webhook(find(self.core.db.conn(), &access, id).await?).await
    }

    async fn change_webhook(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: WebhookId,
        patch: WebhookPatch,
        known: IfMatch,
    ) -> Result<Webhook> {
        patch.validate()?;
        let access = self.core.authorize(self.core.db.conn(), caller, org, Permission::WebhookManage).await?;
        find(self.core.db.conn(), &access, id).await?;
        if let Some(url) = &patch.url {
            self.check_url(url.trim())?;
        }
        let events = patch.events.as_deref().map(check_events).transpose()?;
        let (patch, known, events) = (&patch, &known, &events);
        let row = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
                db::lock::<webhook::Entity>(conn, id).await?;
                let access = self.core.access(conn, caller, org).await?;
                require_full_access(&access)?;
                let before = find(conn, &access, id).await?;
                access.check(known, before.updated_at)?;
                let mut after = before.clone();
                if let Some(url) = &patch.url {
                    url.trim().clone_into(&mut after.url);
                }
                if let Some(events) = events {
                    after.events.clone_from(events);
                }
                if let Some(is_active) = patch.is_active {
                    after.is_active = is_active;
                }
                if after.is_active != before.is_active || after.url != before.url {
                    after.failing_since = None;
                    after.failures = 0;
                    after.paused_until = None;
                }
                after.updated_at = self.core.now();
                db::store_changes(conn, &before, &after).await?;
                update_has_webhooks(conn, org).await?;
                let detail = vec![("url", after.url.clone().into()), ("is_active", after.is_active.into())];
                self.core.record(conn, (caller, &access), "deals.change_webhook", ("webhook", id.0), detail).await?;
                Ok::<_, Error>(after)
            })
            .await?;
        self.show_webhook(row).await
    }

    async fn delete_webhook(&self, caller: &Caller, org: OrganizationId, id: WebhookId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::WebhookManage).await?;
                let row = find(conn, &access, id).await?;
                access.check(known, row.updated_at)?;
                webhook::Entity::delete_by_id(id).exec(conn).await?;
                update_has_webhooks(conn, org).await?;
                let detail = vec![("url", row.url.into())];
                self.core.record(conn, (caller, &access), "deals.delete_webhook", ("webhook", id.0), detail).await
            })
            .await
    }

    async fn test_webhook(&self, caller: &Caller, org: OrganizationId, id: WebhookId) -> Result<Delivery> {
        let sent = self.core.db.write(|tx| async move {
            let access = self.core.authorize(&tx, caller, org, Permission::WebhookManage).await?;
            let hook = find(&tx, &access, id).await?;
            if !hook.is_active {
                return Err(Error::IllegalTransition(INACTIVE));
            }
            let data = json!({ "organization_id": org });
            self.create_delivery(&tx, &hook, event::PING, self.core.now(), &data).await
        });
        Ok(show_delivery(sent.await?))
    }

    async fn rotate_secret(&self, caller: &Caller, org: OrganizationId, id: WebhookId) -> Result<IssuedWebhook> {
        let secret = &new_secret()?;
        let row = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<webhook::Entity>(conn, id).await?;
                let access = self.core.access(conn, caller, org).await?;
                require_full_access(&access)?;
                let before = find(conn, &access, id).await?;
                let after = webhook::Model {
                    secret: secret.clone(),
                    old_secret: Some(before.secret.clone()),
                    old_secret_until: Some(self.core.now() + SECRET_OVERLAP),
                    updated_at: self.core.now(),
                    ..before.clone()
                };
                db::store_changes(conn, &before, &after).await?;
                self.core.record(conn, (caller, &access), "deals.rotate_secret", ("webhook", id.0), Vec::new()).await?;
                Ok::<_, Error>(after)
            })
            .await?;
        Ok(IssuedWebhook { webhook: self.show_webhook(row).await?, secret: encode_secret(secret) })
    }

    async fn deliveries(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: WebhookId,
        page: CursorQuery,
    ) -> Result<CursorPage<Delivery>> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        require_full_access(&access)?;
        page_of(conn, &find(conn, &access, id).await?, &page).await
    }

    async fn redeliver(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Delivery> {
        let sent = self.core.db.write(|tx| async move {
            let access = self.core.access(&tx, caller, org).await?;
            require_full_access(&access)?;
            let hook = find(&tx, &access, id).await?;
            self.retry_delivery(&tx, &hook, delivery).await
        });
        Ok(show_delivery(sent.await?))
    }
}
