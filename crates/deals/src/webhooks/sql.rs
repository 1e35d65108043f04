//! Webhooks on a database, as specified by Standard Webhooks (<https://www.standardwebhooks.com>). The subscriber
//! stores a delivery for each event and webhook; the outbox sends them.

use std::{collections::HashSet, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use garde::Validate;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, Error as KernelError, IfMatch, Ordering, Page, PageQuery, Timestamp,
    db::Tx,
    event::{Emitted, Subscriber},
    http::FetchError,
    job::Job,
    mail::DeliveryError,
    outbox::{OutboxMessage, Transport},
};
use hmac::{Hmac, KeyInit, Mac};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Set, sea_query::LockType,
};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    Delivery, DeliveryId, DeliveryStatus, Error, IssuedWebhook, MemberId, NewWebhook, OrganizationId, Result, Webhook,
    WebhookId, WebhookPatch, Webhooks,
    core::{
        Core,
        access::{Access, active_members, grants_of},
        execute, lock, lock_as,
        rollups::sees_all,
        store,
    },
    entity::{delivery, member, organization, role, webhook},
    event,
    permission::{Permission, Scope},
};

/// The channel of the outbox.
const CHANNEL: &str = "deals_webhook";
/// The maximum number of webhooks of an organization.
const MAX_WEBHOOKS: u64 = 20;
/// How many messages are sent concurrently, so that a slow receiver delays few others.
const CONCURRENCY: usize = 16;
/// How long the outbox retries a message.
const LIFETIME: Duration = Duration::from_secs(3 * 24 * 3600);
/// After this, the outbox has certainly given up.
const MAX_PENDING: Duration = Duration::from_secs(3 * 24 * 3600 + 3600);
/// The pause of a webhook after its first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const MAX_PAUSE: Duration = Duration::from_secs(3600);
/// How long messages are also signed with the old secret.
const SECRET_OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// A webhook that has failed for this long is deactivated.
const MAX_FAILING: Duration = Duration::from_secs(5 * 24 * 3600);
/// How long deliveries are stored.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many deliveries are deleted in one transaction.
const BATCH: u64 = 1000;
/// The prefix of secrets.
const PREFIX: &str = "whsec_";
/// The length of a secret; the standard asks for 24 to 64 bytes.
const SECRET_BYTES: usize = 32;
/// The HTTP status of a receiver that wants no more messages.
const GONE: u16 = 410;
const DISABLED: &str = "webhooks are disabled on this server";
const INACTIVE: &str = "The webhook is inactive.";

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| KernelError::internal(error.to_string()))?;
    Ok(bytes)
}

fn new_secret() -> Result<Vec<u8>> {
    Ok(random::<SECRET_BYTES>()?.to_vec())
}

/// Encodes a secret as the standard specifies.
fn encode_secret(secret: &[u8]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(secret))
}

/// The signature of a message with a secret.
fn sign(secret: &[u8], message_id: &str, at: i64, body: &str) -> Result<String> {
    let mut code = Hmac::<Sha256>::new_from_slice(secret).map_err(|error| KernelError::internal(error.to_string()))?;
    code.update(format!("{message_id}.{at}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(code.finalize().into_bytes())))
}

fn events_of(row: &webhook::Model) -> Vec<String> {
    serde_json::from_str(&row.events).unwrap_or_default()
}

fn check_events(events: &[String]) -> Result<String> {
    if let Some(unknown) = events.iter().find(|name| !event::is_known(name)) {
        let known: Vec<&str> = event::EVENTS.iter().map(|event| event.name).collect();
        return Err(Error::field("events", format!("Unknown event {unknown}. Choose from: {}.", known.join(", "))));
    }
    Ok(json!(events).to_string())
}

fn show_delivery(row: delivery::Model) -> Delivery {
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

async fn find(conn: &impl ConnectionTrait, access: &Access, id: WebhookId) -> Result<webhook::Model> {
    let query = webhook::Entity::find_by_id(id).filter(webhook::COLUMN.org_id.eq(access.org.id));
    query.one(conn).await?.ok_or(Error::NotFound("webhook"))
}

/// Stores with the organization whether it has active webhooks: every transaction that emits an event reads it.
async fn update_has_webhooks(conn: &impl ConnectionTrait, org: OrganizationId) -> Result<()> {
    let sql = "UPDATE deals_organization SET has_webhooks = \
               EXISTS (SELECT 1 FROM deals_webhook w WHERE w.org_id = $1 AND w.is_active) WHERE id = $1";
    execute(conn, sql, [org.into()]).await?;
    Ok(())
}

/// The permissions that the creator of a webhook needs for all objects, since events are about any of them.
const REQUIRED: [Permission; 4] =
    [Permission::ClientRead, Permission::DealRead, Permission::PaymentRead, Permission::TaskRead];

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

/// Those of these members who still have full access. The webhooks of members who were deactivated or lost permissions
/// receive no events.
async fn with_full_access(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    members: impl Iterator<Item = MemberId>,
) -> Result<HashSet<MemberId>> {
    let query = active_members()
        .filter(member::COLUMN.org_id.eq(org))
        .filter(member::COLUMN.id.is_in(members))
        .find_also_related(role::Entity);
    let has_full_access = |role: &role::Model| {
        let grants = grants_of(role);
        REQUIRED.iter().all(|permission| grants.scope(*permission) == Some(Scope::All))
    };
    let members = query.all(conn).await?.into_iter();
    Ok(members.filter(|(_, role)| role.as_ref().is_some_and(has_full_access)).map(|(member, _)| member.id).collect())
}

/// Webhooks, on a database.
#[derive(Clone)]
pub struct SqlWebhooks {
    pub(crate) core: Core,
}

/// Deletes old deliveries and deactivates failing webhooks.
#[async_trait]
impl Job for SqlWebhooks {
    fn name(&self) -> &'static str {
        "deals.webhooks"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn run(&self) -> guildhall_kernel::Result<()> {
        Ok(self.clean_up().await?)
    }
}

/// Stores deliveries of events to the webhooks of their organization.
#[async_trait]
impl Subscriber for SqlWebhooks {
    fn name(&self) -> &'static str {
        "deals.webhooks"
    }

    fn events(&self) -> Vec<&'static str> {
        event::EVENTS.iter().map(|event| event.event).collect()
    }

    async fn wants(&self, tx: &Tx, aggregate: &str) -> Result<bool, DbErr> {
        let Some(org) = event::organization_of(aggregate) else { return Ok(false) };
        let has_webhooks = organization::Entity::find_by_id(org)
            .select_only()
            .column(organization::Column::HasWebhooks)
            .into_tuple::<bool>()
            .one(tx)
            .await?;
        Ok(has_webhooks.unwrap_or_default())
    }

    async fn handle(&self, tx: &Tx, emitted: &Emitted) -> guildhall_kernel::Result<()> {
        let known = event::EVENTS.iter().find(|event| event.event == emitted.name);
        let (Some(event), Some(org)) = (known, event::organization_of(&emitted.aggregate)) else { return Ok(()) };
        let mut data = emitted.payload()?;
        data["object"] = json!(event.object);
        for hook in recipients(tx, org, event.name).await? {
            self.enqueue(tx, &hook, event.name, emitted.at, &data).await?;
        }
        Ok(())
    }
}

/// The active webhooks that subscribe to an event, and whose creators may see it.
async fn recipients(tx: &Tx, org: OrganizationId, name: &str) -> Result<Vec<webhook::Model>> {
    let hooks = webhook::Entity::find()
        .filter(webhook::COLUMN.org_id.eq(org))
        .filter(webhook::COLUMN.is_active.eq(true))
        .order_by_asc(webhook::Column::Id)
        .limit(MAX_WEBHOOKS);
    // They must not be deleted before the deliveries are stored.
    lock_as(tx, hooks.clone(), LockType::KeyShare).await?;
    let mut hooks = hooks.all(tx).await?;
    let trusted = with_full_access(tx, org, hooks.iter().map(|hook| hook.created_by)).await?;
    hooks.retain(|hook| {
        let events = events_of(hook);
        trusted.contains(&hook.created_by) && (events.is_empty() || events.iter().any(|event| event == name))
    });
    Ok(hooks)
}

impl SqlWebhooks {
    /// Stores a delivery of a message to a webhook, and enqueues it.
    async fn enqueue(
        &self,
        tx: &Tx,
        hook: &webhook::Model,
        name: &str,
        at: Timestamp,
        data: &Value,
    ) -> Result<delivery::Model> {
        let now = self.core.now();
        let body = json!({ "type": name, "timestamp": at, "data": data }).to_string();
        let id: String = random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let row = delivery::ActiveModel {
            id: NotSet,
            org_id: Set(hook.org_id),
            webhook_id: Set(hook.id),
            message_id: Set(format!("msg_{id}")),
            event: Set(name.to_owned()),
            body: Set(body),
            status: Set(DeliveryStatus::Pending),
            attempts: Set(0),
            response_status: Set(None),
            last_error: Set(None),
            created_at: Set(now),
            tried_at: Set(None),
            tried_until: Set(now + MAX_PENDING),
        };
        let row = row.insert(tx).await?;
        self.enqueue_delivery(tx, hook, &row).await?;
        Ok(row)
    }

    async fn enqueue_delivery(&self, tx: &Tx, hook: &webhook::Model, row: &delivery::Model) -> Result<()> {
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

    /// Sends a delivery; returns the status of the response.
    async fn send_message(&self, hook: &webhook::Model, row: &delivery::Model) -> Result<u16, FetchError> {
        let Some(sender) = &self.core.host.webhook_sender else {
            return Err(FetchError::Permanent(DISABLED.to_owned()));
        };
        let now = self.core.now();
        let old = hook.old_secret.as_ref().filter(|_| hook.old_secret_until.is_some_and(|until| until > now));
        let at = now.unix_seconds();
        let signatures: Result<Vec<String>> = std::iter::once(&hook.secret)
            .chain(old)
            .map(|secret| sign(secret, &row.message_id, at, &row.body))
            .collect();
        let signatures = signatures.map_err(|error| FetchError::Permanent(error.to_string()))?;
        let headers = [
            ("webhook-id", row.message_id.clone()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", signatures.join(" ")),
        ];
        sender.send(&hook.url, &headers, &row.body).await
    }

    /// Stores the outcome of an attempt with the delivery and its webhook.
    async fn record_attempt(
        &self,
        hook: &webhook::Model,
        row: &delivery::Model,
        outcome: &Result<u16, FetchError>,
    ) -> Result<()> {
        let (status, error) = match outcome {
            Ok(status) => (Some(i64::from(*status)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let delivered = status.is_some_and(|status| (200..300).contains(&status));
        let gone = status == Some(i64::from(GONE));
        let failed = gone || matches!(outcome, Err(FetchError::Permanent(_)));
        let state = match (delivered, failed) {
            (true, _) => "delivered",
            (false, true) => "failed",
            (false, false) => "pending",
        };
        let (now, error) = (self.core.now(), &error);
        let factor = 2_u32.saturating_pow(u32::try_from(hook.failures).unwrap_or(u32::MAX));
        let paused = now + FIRST_PAUSE.saturating_mul(factor).min(MAX_PAUSE);
        self.core
            .write(|tx| async move {
                let sql = "UPDATE deals_delivery SET attempts = attempts + 1, status = $1, response_status = $2, \
                           last_error = $3, tried_at = $4 WHERE id = $5";
                let values = [state.into(), status.into(), error.clone().into(), now.into(), row.id.into()];
                execute(&tx, sql, values).await?;
                let sql = "UPDATE deals_webhook SET \
                           failing_since = CASE WHEN $1 THEN NULL ELSE COALESCE(failing_since, $2) END, \
                           failures = CASE WHEN $1 THEN 0 ELSE failures + 1 END, \
                           paused_until = CASE WHEN $1 THEN NULL ELSE CAST($6 AS bigint) END, \
                           is_active = is_active AND NOT $3 WHERE org_id = $4 AND id = $5";
                let values =
                    [delivered.into(), now.into(), gone.into(), hook.org_id.into(), hook.id.into(), paused.into()];
                execute(&tx, sql, values).await?;
                if gone { update_has_webhooks(&tx, hook.org_id).await } else { Ok(()) }
            })
            .await
    }

    /// Deletes old deliveries, marks those as failed that the outbox has given up, and deactivates webhooks that have
    /// failed for too long.
    async fn clean_up(&self) -> Result<()> {
        let now = self.core.now();
        let (oldest, failing_since) = (now - RETENTION, now - MAX_FAILING);
        loop {
            let deleted = self.core.write(|tx| async move {
                let sql = format!(
                    "DELETE FROM deals_delivery WHERE id IN (SELECT id FROM deals_delivery WHERE created_at < $1 \
                     ORDER BY created_at LIMIT {BATCH})"
                );
                execute(&tx, sql, [oldest.into()]).await
            });
            if deleted.await? < BATCH {
                break;
            }
        }
        self.core
            .write(|tx| async move {
                let sql = "UPDATE deals_delivery SET status = 'failed' WHERE status = 'pending' AND tried_until < $1";
                execute(&tx, sql, [now.into()]).await?;
                let sql = "UPDATE deals_webhook SET is_active = false, updated_at = $1 \
                       WHERE is_active AND failing_since < $2";
                if execute(&tx, sql, [now.into(), failing_since.into()]).await? > 0 {
                    let sql = "UPDATE deals_organization SET has_webhooks = false WHERE has_webhooks AND NOT EXISTS \
                           (SELECT 1 FROM deals_webhook w WHERE w.org_id = deals_organization.id AND w.is_active)";
                    execute(&tx, sql, []).await?;
                }
                Ok(())
            })
            .await
    }
}

#[async_trait]
impl Transport for SqlWebhooks {
    fn channel(&self) -> &'static str {
        CHANNEL
    }

    fn at_once(&self) -> usize {
        CONCURRENCY
    }

    async fn deliver(&self, _: i64, payload: &str) -> Result<(), DeliveryError> {
        let failed = |error: &dyn std::fmt::Display| DeliveryError::Transient(error.to_string());
        let id =
            payload.parse().map(DeliveryId).map_err(|_| DeliveryError::Permanent("Invalid delivery id.".into()))?;
        let row = delivery::Entity::find_by_id(id).one(self.core.db.conn()).await.map_err(|error| failed(&error))?;
        // The webhook was deleted with its deliveries.
        let Some(row) = row else { return Ok(()) };
        let hook = webhook::Entity::find_by_id(row.webhook_id).one(self.core.db.conn()).await;
        let Some(hook) = hook.map_err(|error| failed(&error))? else { return Ok(()) };
        if hook.is_active && hook.paused_until.is_some_and(|until| until > self.core.now()) {
            // Attempts to an unavailable receiver would delay the messages of all others.
            return Err(DeliveryError::Transient("The webhook is paused after a failure.".to_owned()));
        }
        let outcome = if hook.is_active {
            self.send_message(&hook, &row).await
        } else {
            Err(FetchError::Permanent(INACTIVE.to_owned()))
        };
        self.record_attempt(&hook, &row, &outcome).await.map_err(|error| failed(&error))?;
        match outcome {
            Ok(status) if (200..300).contains(&status) => Ok(()),
            Ok(GONE) => Err(DeliveryError::Permanent("The receiver responded with 410 Gone.".to_owned())),
            Ok(status) => Err(DeliveryError::Transient(format!("The receiver responded with {status}."))),
            Err(FetchError::Transient(reason)) => Err(DeliveryError::Transient(reason)),
            Err(FetchError::Permanent(reason)) => Err(DeliveryError::Permanent(reason)),
        }
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
        let (rows, page) = page.take();
        let shown = self.show_webhooks(rows).await?;
        Ok(page.with(|_| shown))
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
            .write(|tx| async move {
                let conn = &tx;
                lock::<organization::Entity>(conn, org).await?;
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
            .write(|tx| async move {
                let conn = &tx;
                lock::<organization::Entity>(conn, org).await?;
                lock::<webhook::Entity>(conn, id).await?;
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
                after.is_active = patch.is_active.unwrap_or(after.is_active);
                if after.is_active != before.is_active || after.url != before.url {
                    after.failing_since = None;
                    after.failures = 0;
                    after.paused_until = None;
                }
                after.updated_at = self.core.now();
                store(conn, &before, &after).await?;
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
            .write(|tx| async move {
                let conn = &tx;
                lock::<organization::Entity>(conn, org).await?;
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
        let sent = self.core.write(|tx| async move {
            let access = self.core.authorize(&tx, caller, org, Permission::WebhookManage).await?;
            let hook = find(&tx, &access, id).await?;
            if !hook.is_active {
                return Err(Error::IllegalTransition(INACTIVE));
            }
            self.enqueue(&tx, &hook, event::PING, self.core.now(), &json!({ "organization_id": org })).await
        });
        Ok(show_delivery(sent.await?))
    }

    async fn rotate_secret(&self, caller: &Caller, org: OrganizationId, id: WebhookId) -> Result<IssuedWebhook> {
        let secret = &new_secret()?;
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                lock::<webhook::Entity>(conn, id).await?;
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
                store(conn, &before, &after).await?;
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
        find(conn, &access, id).await?;
        let query =
            delivery::Entity::find().filter(delivery::COLUMN.org_id.eq(org)).filter(delivery::COLUMN.webhook_id.eq(id));
        let rows = page.apply(query, delivery::Column::Id).all(conn).await?;
        let (rows, page) = CursorPage::from_rows(rows, |row: &delivery::Model| row.id.0, &page).take();
        Ok(page.with(rows.into_iter().map(show_delivery).collect()))
    }

    async fn redeliver(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Delivery> {
        let sent = self.core.write(|tx| async move {
            let conn = &tx;
            let access = self.core.access(conn, caller, org).await?;
            require_full_access(&access)?;
            let hook = find(conn, &access, id).await?;
            lock::<delivery::Entity>(conn, delivery).await?;
            let query = delivery::Entity::find_by_id(delivery)
                .filter(delivery::COLUMN.org_id.eq(org))
                .filter(delivery::COLUMN.webhook_id.eq(id));
            let row = query.one(conn).await?.ok_or(Error::NotFound("delivery"))?;
            if row.status == DeliveryStatus::Pending || !hook.is_active {
                return Err(Error::IllegalTransition("The delivery is still pending, or the webhook is inactive."));
            }
            let tried_until = self.core.now() + MAX_PENDING;
            let after = delivery::Model { status: DeliveryStatus::Pending, tried_until, ..row.clone() };
            store(conn, &row, &after).await?;
            self.enqueue_delivery(conn, &hook, &after).await?;
            Ok(after)
        });
        Ok(show_delivery(sent.await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's reference libraries.
    #[test]
    fn a_message_is_signed_as_the_standard_specifies() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(encode_secret(&secret), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
