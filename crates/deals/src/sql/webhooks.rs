//! Addresses that are told what happens (Standard Webhooks, <https://www.standardwebhooks.com>). What they are told
//! is stored in the transaction of the act, and sent afterwards by the outbox.

use std::{collections::HashSet, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use garde::Validate;
use guildhall_kernel::{
    Caller, Error as KernelError, IfMatch, Ordering, Page, PageQuery, Slice, SliceQuery,
    mail::Undelivered,
    outbox::{Carrier, Parcel},
    web::Unreached,
};
use hmac::{Hmac, KeyInit, Mac};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Set, sea_query::LockType,
};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    SqlDeals,
    access::{Access, active_members, grants_of},
    lock, lock_as,
    rollups::sees_all,
    run, store,
};
use crate::{
    Delivery, DeliveryId, DeliveryStatus, Error, IssuedWebhook, MemberId, NewWebhook, OrganizationId, Result, Webhook,
    WebhookId, WebhookPatch, Webhooks,
    entity::{delivery, member, organization, role, webhook},
    event,
    permission::{Permission, Scope},
};

/// What the outbox calls messages to webhooks.
const CHANNEL: &str = "deals_webhook";
/// How many webhooks an organization has at most.
const MOST: u64 = 20;
/// How many messages are on their way at a time: one that is slow keeps few others waiting.
const AT_ONCE: usize = 16;
/// For how long a message is tried.
const LIFE: Duration = Duration::from_secs(3 * 24 * 3600);
/// After this nobody tries it any more.
const PATIENCE: Duration = Duration::from_secs(3 * 24 * 3600 + 3600);
/// How long a webhook is left in peace after its first failure; twice as long after each one more, up to an hour.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// For how long the secret before the present one signs too.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// After how long of silence a webhook is switched off.
const SILENCE: Duration = Duration::from_secs(5 * 24 * 3600);
/// For how long it is remembered what was told.
const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many are forgotten in one transaction.
const BATCH: u64 = 1000;
/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// How many bytes it has; the standard wants 24 to 64.
const SECRET_BYTES: usize = 32;
/// The status of an address that never will be there again.
const GONE: u16 = 410;

/// Random bytes.
fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| KernelError::internal(error.to_string()))?;
    Ok(bytes)
}

fn new_secret() -> Result<Vec<u8>> {
    Ok(random::<SECRET_BYTES>()?.to_vec())
}

/// A secret as the standard writes it.
fn written(secret: &[u8]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(secret))
}

/// The signature of a message by a secret.
fn sign(secret: &[u8], message_id: &str, at: i64, body: &str) -> Result<String> {
    let mut code = Hmac::<Sha256>::new_from_slice(secret).map_err(|error| KernelError::internal(error.to_string()))?;
    code.update(format!("{message_id}.{at}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(code.finalize().into_bytes())))
}

fn events_of(row: &webhook::Model) -> Vec<String> {
    serde_json::from_str(&row.events).unwrap_or_default()
}

fn check_events(events: &[String]) -> Result<String> {
    if let Some(strange) = events.iter().find(|name| !event::is_known(name)) {
        let known: Vec<&str> = event::FACTS.iter().map(|(name, _)| *name).collect();
        return Err(Error::field("events", format!("There is no {strange}; there are: {}.", known.join(", "))));
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
    let found = webhook::Entity::find_by_id(id).filter(webhook::COLUMN.org_id.eq(access.org.id));
    found.one(conn).await?.ok_or(Error::NotFound("webhook"))
}

/// Are there any webhooks that are told something? Looked at by every act, and so kept with the organization.
async fn count(conn: &impl ConnectionTrait, org: OrganizationId) -> Result<()> {
    let sql = "UPDATE deals_organization SET has_webhooks = \
               EXISTS (SELECT 1 FROM deals_webhook w WHERE w.org_id = $1 AND w.is_active) WHERE id = $1";
    run(conn, sql, [org.into()]).await?;
    Ok(())
}

/// What a webhook is told, and so its maker has to see.
const TOLD: [Permission; 4] =
    [Permission::ClientRead, Permission::DealRead, Permission::PaymentRead, Permission::TaskRead];

/// Whoever is told everything sees everything.
fn sees_everything(access: &Access) -> Result<()> {
    access.may(Permission::WebhookManage)?;
    if sees_all(access, &TOLD) {
        return Ok(());
    }
    Err(Error::Escalation("A webhook is told everything: only those who see everything have one."))
}

/// Those of some members who still see everything: whoever has been shut out, or may do less by now, is told nothing
/// any more.
async fn trusted(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    members: impl Iterator<Item = MemberId>,
) -> Result<HashSet<MemberId>> {
    let found = active_members()
        .filter(member::COLUMN.org_id.eq(org))
        .filter(member::COLUMN.id.is_in(members))
        .find_also_related(role::Entity);
    let sees = |role: &role::Model| {
        let grants = grants_of(role);
        TOLD.iter().all(|permission| grants.scope(*permission) == Some(Scope::All))
    };
    let all = found.all(conn).await?.into_iter();
    Ok(all.filter(|(_, role)| role.as_ref().is_some_and(sees)).map(|(member, _)| member.id).collect())
}

impl SqlDeals {
    /// Tells the webhooks of an organization what has happened, in the transaction in which it does.
    pub(super) async fn tell(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        fact: &'static str,
        data: Value,
    ) -> Result<()> {
        let hooks = webhook::Entity::find()
            .filter(webhook::COLUMN.org_id.eq(access.org.id))
            .filter(webhook::COLUMN.is_active.eq(true))
            .order_by_asc(webhook::Column::Id)
            .limit(MOST);
        // None of them goes before this is through.
        lock_as(conn, hooks.clone(), LockType::KeyShare).await?;
        let hooks = hooks.all(conn).await?;
        let trusted = trusted(conn, access.org.id, hooks.iter().map(|hook| hook.created_by)).await?;
        for hook in hooks.into_iter().filter(|hook| trusted.contains(&hook.created_by)) {
            let wanted = events_of(&hook);
            if wanted.is_empty() || wanted.iter().any(|name| name == fact) {
                self.leave(conn, &hook, fact, &data).await?;
            }
        }
        Ok(())
    }

    /// Leaves a message for a webhook.
    async fn leave(
        &self,
        conn: &impl ConnectionTrait,
        hook: &webhook::Model,
        fact: &str,
        data: &Value,
    ) -> Result<delivery::Model> {
        let now = self.now();
        let body = json!({ "type": fact, "timestamp": now, "data": data }).to_string();
        let id: String = random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let row = delivery::ActiveModel {
            id: NotSet,
            org_id: Set(hook.org_id),
            webhook_id: Set(hook.id),
            message_id: Set(format!("msg_{id}")),
            event: Set(fact.to_owned()),
            body: Set(body),
            status: Set(DeliveryStatus::Pending),
            attempts: Set(0),
            response_status: Set(None),
            last_error: Set(None),
            created_at: Set(now),
            tried_at: Set(None),
            tried_until: Set(now + PATIENCE),
        };
        let row = row.insert(conn).await?;
        self.send_off(conn, hook, &row).await?;
        Ok(row)
    }

    async fn send_off(&self, conn: &impl ConnectionTrait, hook: &webhook::Model, row: &delivery::Model) -> Result<()> {
        let parcel = Parcel {
            channel: CHANNEL,
            user: None,
            recipient: &hook.url,
            title: &row.event,
            payload: row.id.to_string(),
        };
        self.host.outbox.send(conn, parcel, LIFE).await?;
        self.has_news();
        Ok(())
    }

    async fn show_webhooks(&self, rows: Vec<webhook::Model>) -> Result<Vec<Webhook>> {
        let people = self.members_as_people(self.db.conn(), rows.iter().map(|row| row.created_by)).await?;
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

    /// An address that may be told something.
    fn check_url(&self, url: &str) -> Result<()> {
        let refusal = match &self.host.post {
            Some(post) => post.refuses(url),
            None => Some("nothing is sent from here".to_owned()),
        };
        refusal.map_or(Ok(()), |why| Err(Error::field("url", format!("It cannot be told anything: {why}."))))
    }

    /// Sends a message; gives the status of the answer.
    async fn send_message(&self, hook: &webhook::Model, row: &delivery::Model) -> Result<u16, Unreached> {
        let Some(post) = &self.host.post else { return Err(Unreached::ForGood("nothing is sent from here".into())) };
        let now = self.now();
        let old = hook.old_secret.as_ref().filter(|_| hook.old_secret_until.is_some_and(|until| until > now));
        let at = now.unix_seconds();
        let signatures: Result<Vec<String>> = std::iter::once(&hook.secret)
            .chain(old)
            .map(|secret| sign(secret, &row.message_id, at, &row.body))
            .collect();
        let signatures = signatures.map_err(|error| Unreached::ForGood(error.to_string()))?;
        let headers = [
            ("webhook-id", row.message_id.clone()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", signatures.join(" ")),
        ];
        post.post(&hook.url, &headers, &row.body).await
    }

    /// Notes how a message has fared, and what that means for its webhook.
    async fn note_attempt(
        &self,
        hook: &webhook::Model,
        row: &delivery::Model,
        outcome: &Result<u16, Unreached>,
    ) -> Result<()> {
        let (status, error) = match outcome {
            Ok(status) => (Some(i64::from(*status)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let arrived = status.is_some_and(|status| (200..300).contains(&status));
        let gone = status == Some(i64::from(GONE));
        let given_up = gone || matches!(outcome, Err(Unreached::ForGood(_)));
        let state = match (arrived, given_up) {
            (true, _) => "delivered",
            (false, true) => "failed",
            (false, false) => "pending",
        };
        let (now, error) = (self.now(), &error);
        let doubled = 2_u32.saturating_pow(u32::try_from(hook.failures).unwrap_or(u32::MAX));
        let paused = now + FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
        self.act(|tx| async move {
            let sql = "UPDATE deals_delivery SET attempts = attempts + 1, status = $1, response_status = $2, \
                           last_error = $3, tried_at = $4 WHERE id = $5";
            let values = [state.into(), status.into(), error.clone().into(), now.into(), row.id.into()];
            run(tx.conn(), sql, values).await?;
            let sql = "UPDATE deals_webhook SET \
                           failing_since = CASE WHEN $1 THEN NULL ELSE COALESCE(failing_since, $2) END, \
                           failures = CASE WHEN $1 THEN 0 ELSE failures + 1 END, \
                           paused_until = CASE WHEN $1 THEN NULL ELSE CAST($6 AS bigint) END, \
                           is_active = is_active AND NOT $3 WHERE org_id = $4 AND id = $5";
            let values = [arrived.into(), now.into(), gone.into(), hook.org_id.into(), hook.id.into(), paused.into()];
            run(tx.conn(), sql, values).await?;
            if gone { count(tx.conn(), hook.org_id).await } else { Ok(()) }
        })
        .await
    }

    /// Forgets what was told long ago, says of what nobody tries any more that it has failed, and switches off
    /// what has been silent for too long.
    pub(super) async fn tidy_webhooks(&self) -> Result<()> {
        let now = self.now();
        let (old, silent) = (now - MEMORY, now - SILENCE);
        loop {
            let forgotten = self.act(|tx| async move {
                let sql = format!(
                    "DELETE FROM deals_delivery WHERE id IN (SELECT id FROM deals_delivery WHERE created_at < $1 \
                     ORDER BY created_at LIMIT {BATCH})"
                );
                run(tx.conn(), sql, [old.into()]).await
            });
            if forgotten.await? < BATCH {
                break;
            }
        }
        self.act(|tx| async move {
            let sql = "UPDATE deals_delivery SET status = 'failed' WHERE status = 'pending' AND tried_until < $1";
            run(tx.conn(), sql, [now.into()]).await?;
            let sql = "UPDATE deals_webhook SET is_active = false, updated_at = $1 \
                       WHERE is_active AND failing_since < $2";
            if run(tx.conn(), sql, [now.into(), silent.into()]).await? > 0 {
                let sql = "UPDATE deals_organization SET has_webhooks = false WHERE has_webhooks AND NOT EXISTS \
                           (SELECT 1 FROM deals_webhook w WHERE w.org_id = deals_organization.id AND w.is_active)";
                run(tx.conn(), sql, []).await?;
            }
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Carrier for SqlDeals {
    fn channel(&self) -> &'static str {
        CHANNEL
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn carry(&self, _: i64, payload: &str) -> Result<(), Undelivered> {
        let failed = |error: &dyn std::fmt::Display| Undelivered::ForNow(error.to_string());
        let id = payload.parse().map(DeliveryId).map_err(|_| Undelivered::ForGood("It names no message.".into()))?;
        let found = delivery::Entity::find_by_id(id).one(self.db.conn()).await.map_err(|error| failed(&error))?;
        // Its webhook has gone, and with it all that it was to be told.
        let Some(row) = found else { return Ok(()) };
        let hook = webhook::Entity::find_by_id(row.webhook_id).one(self.db.conn()).await;
        let Some(hook) = hook.map_err(|error| failed(&error))? else { return Ok(()) };
        if hook.is_active && hook.paused_until.is_some_and(|until| until > self.now()) {
            // One that does not answer keeps nobody waiting but those who want to tell it something.
            return Err(Undelivered::ForNow("The webhook has not answered lately.".to_owned()));
        }
        let outcome = if hook.is_active {
            self.send_message(&hook, &row).await
        } else {
            Err(Unreached::ForGood("The webhook is switched off.".to_owned()))
        };
        self.note_attempt(&hook, &row, &outcome).await.map_err(|error| failed(&error))?;
        match outcome {
            Ok(status) if (200..300).contains(&status) => Ok(()),
            Ok(GONE) => Err(Undelivered::ForGood("It is gone.".to_owned())),
            Ok(status) => Err(Undelivered::ForNow(format!("The answer was {status}."))),
            Err(Unreached::ForNow(why)) => Err(Undelivered::ForNow(why)),
            Err(Unreached::ForGood(why)) => Err(Undelivered::ForGood(why)),
        }
    }
}

#[async_trait]
impl Webhooks for SqlDeals {
    async fn webhooks(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Webhook>> {
        let conn = self.db.conn();
        let access = self.enter_to(conn, caller, org, Permission::WebhookManage).await?;
        let select = webhook::Entity::find().filter(webhook::COLUMN.org_id.eq(access.org.id));
        let ordering = Ordering { fields: &[("id", webhook::Column::Id)], usual: "id", id: webhook::Column::Id };
        let page = Page::<webhook::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.take();
        let shown = self.show_webhooks(rows).await?;
        Ok(page.with(|_| shown))
    }

    async fn create_webhook(&self, caller: &Caller, org: OrganizationId, new: NewWebhook) -> Result<IssuedWebhook> {
        new.validate()?;
        let access = self.enter(self.db.conn(), caller, org).await?;
        sees_everything(&access)?;
        self.check_url(new.url.trim())?;
        let events = check_events(&new.events)?;
        let now = self.now();
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
            .act(|tx| async move {
                let conn = tx.conn();
                lock::<organization::Entity>(conn, org).await?;
                let access = self.enter(conn, caller, org).await?;
                sees_everything(&access)?;
                let others = webhook::Entity::find().filter(webhook::COLUMN.org_id.eq(org)).count(conn).await?;
                if others >= MOST {
                    return Err(Error::field("url", format!("There are {MOST} webhooks at most.")));
                }
                let row = webhook::ActiveModel { id: NotSet, ..row.clone().into() }.reset_all().insert(conn).await?;
                count(conn, org).await?;
                let detail = vec![("url", row.url.clone().into())];
                let what = ("webhook", row.id.0);
                self.noted(conn, (caller, &access), "deals.create_webhook", what, detail).await?;
                Ok::<_, Error>(row)
            })
            .await?;
        let secret = written(&row.secret);
        Ok(IssuedWebhook { webhook: self.show_webhook(row).await?, secret })
    }

    async fn webhook(&self, caller: &Caller, org: OrganizationId, id: WebhookId) -> Result<Webhook> {
        let access = self.enter_to(self.db.conn(), caller, org, Permission::WebhookManage).await?;
        self.show_webhook(find(self.db.conn(), &access, id).await?).await
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
        let access = self.enter_to(self.db.conn(), caller, org, Permission::WebhookManage).await?;
        find(self.db.conn(), &access, id).await?;
        if let Some(url) = &patch.url {
            self.check_url(url.trim())?;
        }
        let events = patch.events.as_deref().map(check_events).transpose()?;
        let (patch, known, events) = (&patch, &known, &events);
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                lock::<organization::Entity>(conn, org).await?;
                lock::<webhook::Entity>(conn, id).await?;
                let access = self.enter(conn, caller, org).await?;
                sees_everything(&access)?;
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
                after.updated_at = self.now();
                store(conn, &before, &after).await?;
                count(conn, org).await?;
                let detail = vec![("url", after.url.clone().into()), ("is_active", after.is_active.into())];
                self.noted(conn, (caller, &access), "deals.change_webhook", ("webhook", id.0), detail).await?;
                Ok::<_, Error>(after)
            })
            .await?;
        self.show_webhook(row).await
    }

    async fn delete_webhook(&self, caller: &Caller, org: OrganizationId, id: WebhookId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<organization::Entity>(conn, org).await?;
            let access = self.enter_to(conn, caller, org, Permission::WebhookManage).await?;
            let row = find(conn, &access, id).await?;
            access.check(known, row.updated_at)?;
            webhook::Entity::delete_by_id(id).exec(conn).await?;
            count(conn, org).await?;
            let detail = vec![("url", row.url.into())];
            self.noted(conn, (caller, &access), "deals.delete_webhook", ("webhook", id.0), detail).await
        })
        .await
    }

    async fn test_webhook(&self, caller: &Caller, org: OrganizationId, id: WebhookId) -> Result<Delivery> {
        let sent = self.act(|tx| async move {
            let access = self.enter_to(tx.conn(), caller, org, Permission::WebhookManage).await?;
            let hook = find(tx.conn(), &access, id).await?;
            if !hook.is_active {
                return Err(Error::IllegalTransition("The webhook is switched off."));
            }
            self.leave(tx.conn(), &hook, event::PING, &json!({ "organization_id": org })).await
        });
        Ok(show_delivery(sent.await?))
    }

    async fn rotate_secret(&self, caller: &Caller, org: OrganizationId, id: WebhookId) -> Result<IssuedWebhook> {
        let secret = &new_secret()?;
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                lock::<webhook::Entity>(conn, id).await?;
                let access = self.enter(conn, caller, org).await?;
                sees_everything(&access)?;
                let before = find(conn, &access, id).await?;
                let after = webhook::Model {
                    secret: secret.clone(),
                    old_secret: Some(before.secret.clone()),
                    old_secret_until: Some(self.now() + OVERLAP),
                    updated_at: self.now(),
                    ..before.clone()
                };
                store(conn, &before, &after).await?;
                self.noted(conn, (caller, &access), "deals.rotate_secret", ("webhook", id.0), Vec::new()).await?;
                Ok::<_, Error>(after)
            })
            .await?;
        Ok(IssuedWebhook { webhook: self.show_webhook(row).await?, secret: written(secret) })
    }

    async fn deliveries(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: WebhookId,
        slice: SliceQuery,
    ) -> Result<Slice<Delivery>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        sees_everything(&access)?;
        find(conn, &access, id).await?;
        let told =
            delivery::Entity::find().filter(delivery::COLUMN.org_id.eq(org)).filter(delivery::COLUMN.webhook_id.eq(id));
        let rows = slice.cut(told, delivery::Column::Id).all(conn).await?;
        let (rows, slice) = Slice::of(rows, |row: &delivery::Model| row.id.0, &slice).take();
        Ok(slice.with(rows.into_iter().map(show_delivery).collect()))
    }

    async fn redeliver(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Delivery> {
        let sent = self.act(|tx| async move {
            let conn = tx.conn();
            let access = self.enter(conn, caller, org).await?;
            sees_everything(&access)?;
            let hook = find(conn, &access, id).await?;
            lock::<delivery::Entity>(conn, delivery).await?;
            let found = delivery::Entity::find_by_id(delivery)
                .filter(delivery::COLUMN.org_id.eq(org))
                .filter(delivery::COLUMN.webhook_id.eq(id));
            let row = found.one(conn).await?.ok_or(Error::NotFound("delivery"))?;
            if row.status == DeliveryStatus::Pending || !hook.is_active {
                return Err(Error::IllegalTransition("It is on its way, or the webhook is switched off."));
            }
            let tried_until = self.now() + PATIENCE;
            let after = delivery::Model { status: DeliveryStatus::Pending, tried_until, ..row.clone() };
            store(conn, &row, &after).await?;
            self.send_off(conn, &hook, &after).await?;
            Ok(after)
        });
        Ok(show_delivery(sent.await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's own libraries.
    #[test]
    fn a_message_is_signed_as_the_standard_says() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(written(&secret), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
