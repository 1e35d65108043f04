//! The outbox: outgoing messages (emails, webhooks), stored in the transaction that causes them and delivered after its
//! commit, at least once, with retries.

mod unsent;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, Set, sea_query::Expr,
};
use serde::Deserialize;
use tokio::{sync::watch, time::timeout};

use crate::{
    Clock, Db, Result, Timestamp, UserId,
    db::{self, Tx},
    entity::outbox,
    mail::{DeliveryError, Mail, Mailer, address_key},
};

pub use unsent::{Stage, Summary, send_soon, summaries, unsent};

/// How long a node leases a message for delivery before another node may try.
const LEASE: Duration = Duration::from_secs(120);
/// The longest time a delivery may take; shorter than the lease, so that two nodes never deliver a message at the same
/// time.
const MAX_DELIVERY: Duration = Duration::from_secs(60);
/// The delay after the first failure; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(10);
const MAX_DELAY: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How many messages are read at a time.
const BATCH: u64 = 50;
const MAIL: &str = "mail";
/// The longest error that is stored, in characters.
const MAX_ERROR: usize = 500;
/// The error of a message that was not delivered in time.
const EXPIRED: &str = "The message has expired.";

/// The outgoing messages of a database: emails, and those of other transports.
#[derive(Clone)]
pub struct Outbox {
    db: Db,
    clock: Clock,
    delivery_limit: Duration,
    limits: EmailLimits,
}

/// Limits for unsolicited emails: the number of emails of any kind to an address within a day above which it gets no
/// more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmailLimits {
    /// The limit for invitations.
    pub invitations_per_address: u32,
    /// The limit for reminders.
    pub reminders_per_address: u32,
}

impl Default for EmailLimits {
    fn default() -> Self {
        Self { invitations_per_address: 5, reminders_per_address: 20 }
    }
}

/// A kind of email that is triggered by somebody other than the recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsolicited {
    /// An invitation to a group or an organization.
    Invitation,
    /// A reminder of a task.
    Reminder,
}

/// A message to be delivered.
#[derive(Clone)]
pub struct OutboxMessage<'a> {
    /// The channel of the transport that delivers it.
    pub channel: &'static str,
    /// The recipient, if it is a user: the message is deleted with the account.
    pub user: Option<UserId>,
    /// The recipient's address, shown to operators.
    pub recipient: &'a str,
    /// A short description, shown to operators.
    pub title: &'a str,
    /// The content, for the transport only; deleted once the message is delivered or has failed.
    pub payload: String,
}

/// Delivers the messages of one channel.
#[async_trait]
pub trait Transport: Send + Sync {
    /// The channel, which is stored and must never change.
    fn channel(&self) -> &'static str;

    /// How many messages may be delivered concurrently.
    fn at_once(&self) -> usize {
        1
    }

    /// Delivers a message. The same `id` means the same message: it is delivered twice if the outcome of the first
    /// delivery could not be stored.
    async fn deliver(&self, id: i64, payload: &str) -> Result<(), DeliveryError>;
}

/// Delivers emails to a mail server.
struct EmailTransport<'a>(&'a dyn Mailer);

#[async_trait]
impl Transport for EmailTransport<'_> {
    fn channel(&self) -> &'static str {
        MAIL
    }

    fn at_once(&self) -> usize {
        self.0.at_once()
    }

    async fn deliver(&self, id: i64, payload: &str) -> Result<(), DeliveryError> {
        match serde_json::from_str::<Mail>(payload) {
            Ok(mail) => self.0.send(id, &mail).await,
            Err(error) => Err(DeliveryError::Permanent(error.to_string())),
        }
    }
}

impl Outbox {
    /// The outbox of a database.
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock, delivery_limit: MAX_DELIVERY, limits: EmailLimits::default() }
    }

    /// The same, with other limits on unsolicited emails.
    #[must_use]
    pub fn with_limits(self, limits: EmailLimits) -> Self {
        Self { limits, ..self }
    }

    /// The same, with another limit on how long one delivery may take; shorter than two minutes.
    #[must_use]
    pub fn with_delivery_limit(self, delivery_limit: Duration) -> Self {
        Self { delivery_limit, ..self }
    }

    /// Stores an email in the transaction that causes it. After `lifetime` it is no longer sent, and its content is
    /// deleted by the next [`prune`](Self::prune).
    pub async fn enqueue_email(
        &self,
        tx: &Tx,
        user: Option<UserId>,
        mail: &Mail,
        lifetime: Duration,
    ) -> Result<(), DbErr> {
        let payload = serde_json::to_string(mail).map_err(|error| DbErr::Custom(error.to_string()))?;
        let message = OutboxMessage { channel: MAIL, user, recipient: &mail.to, title: &mail.subject, payload };
        self.enqueue(tx, message, lifetime).await
    }

    /// Stores a message for another transport, in the same way.
    pub async fn enqueue(&self, tx: &Tx, message: OutboxMessage<'_>, lifetime: Duration) -> Result<(), DbErr> {
        let now = self.clock.now();
        let row = outbox::ActiveModel {
            id: NotSet,
            channel: Set(message.channel.to_owned()),
            user_id: Set(message.user),
            recipient: Set(message.recipient.to_owned()),
            title: Set(message.title.to_owned()),
            payload: Set(Some(message.payload)),
            created_at: Set(now),
            expires_at: Set(now + lifetime),
            attempts: Set(0),
            next_at: Set(Some(now)),
            sent_at: Set(None),
            last_error: Set(None),
            recipient_key: Set(address_key(message.recipient)),
        };
        db::insert_only(&tx.deferred(), row).await?;
        tx.wake_after_commit();
        Ok(())
    }

    /// Whether an address may get another unsolicited email: the emails of any kind to any spelling of the address
    /// within a day must be below the limit.
    pub async fn may_email(
        &self,
        conn: &impl ConnectionTrait,
        kind: Unsolicited,
        address: &str,
    ) -> Result<bool, DbErr> {
        let limit = match kind {
            Unsolicited::Invitation => self.limits.invitations_per_address,
            Unsolicited::Reminder => self.limits.reminders_per_address,
        };
        let recent = outbox::Entity::find()
            .filter(outbox::COLUMN.recipient_key.eq(address_key(address)))
            .filter(outbox::COLUMN.created_at.gt(self.clock.now() - DAY));
        Ok(sea_orm::PaginatorTrait::count(recent, conn).await? < u64::from(limit))
    }

    /// Changes whenever a transaction of this process has committed that may have enqueued a message.
    pub fn stored_work(&self) -> watch::Receiver<()> {
        self.db.stored_work()
    }

    /// Delivers the emails that are due and returns how many were delivered.
    pub async fn deliver_emails(&self, mailer: &dyn Mailer) -> Result<u64> {
        self.deliver(&EmailTransport(mailer)).await
    }

    /// Delivers the messages of a transport that are due and returns how many were delivered. With several nodes, each
    /// message is delivered by one of them.
    pub async fn deliver(&self, transport: &dyn Transport) -> Result<u64> {
        let mut delivered = 0;
        loop {
            let due = self.due(transport.channel()).await?;
            if due.is_empty() {
                return Ok(delivered);
            }
            let attempts: Vec<_> = due.iter().map(|message| self.attempt(transport, message)).collect();
            let attempts = stream::iter(attempts).buffer_unordered(transport.at_once().max(1));
            let outcomes: Vec<Result<bool>> = attempts.collect().await;
            for outcome in outcomes {
                delivered += u64::from(outcome?);
            }
        }
    }

    /// Leases a message, delivers it and stores the outcome; returns whether it was delivered.
    async fn attempt(&self, transport: &dyn Transport, message: &outbox::Model) -> Result<bool> {
        let now = self.clock.now();
        let (Some(lease), Some(payload)) = (self.lease(message, now).await?, &message.payload) else {
            return Ok(false);
        };
        let outcome = if message.expires_at <= now {
            Err(DeliveryError::Permanent(EXPIRED.to_owned()))
        } else {
            match timeout(self.delivery_limit, transport.deliver(message.id, payload)).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    Err(DeliveryError::Transient(format!("no response within {} s", self.delivery_limit.as_secs())))
                }
            }
        };
        let is_delivered = outcome.is_ok();
        self.store_outcome(message, lease, outcome).await?;
        Ok(is_delivered)
    }

    async fn due(&self, channel: &str) -> Result<Vec<outbox::Model>, DbErr> {
        let now = self.clock.now();
        // A time beyond the longest delay was written by a clock that was ahead.
        let due = outbox::COLUMN.next_at.lte(now).or(outbox::COLUMN.next_at.gt(now + MAX_DELAY));
        outbox::Entity::find()
            .filter(outbox::COLUMN.channel.eq(channel))
            .filter(due)
            .order_by_asc(outbox::Column::NextAt)
            .limit(BATCH)
            .all(self.db.conn())
            .await
    }

    /// Leases a message and returns when the lease ends; `None` if another node has leased it.
    async fn lease(&self, message: &outbox::Model, now: Timestamp) -> Result<Option<Timestamp>, DbErr> {
        let Some(previous) = message.next_at else { return Ok(None) };
        let until = now + LEASE;
        let leased = self.db.write(|tx| async move {
            outbox::Entity::update_many()
                .col_expr(outbox::Column::NextAt, Expr::value(until))
                .col_expr(outbox::Column::Attempts, Expr::col(outbox::Column::Attempts).add(1))
                .filter(outbox::COLUMN.id.eq(message.id))
                .filter(outbox::COLUMN.next_at.eq(previous))
                .exec(&tx)
                .await
        });
        Ok((leased.await?.rows_affected == 1).then_some(until))
    }

    async fn store_outcome(
        &self,
        message: &outbox::Model,
        lease: Timestamp,
        outcome: Result<(), DeliveryError>,
    ) -> Result<(), DbErr> {
        let now = self.clock.now();
        let row = outbox::ActiveModel { id: sea_orm::ActiveValue::Unchanged(message.id), ..Default::default() };
        let row = match outcome {
            Ok(()) => outbox::ActiveModel {
                sent_at: Set(Some(now)),
                next_at: Set(None),
                payload: Set(None),
                last_error: Set(None),
                ..row
            },
            Err(error) => {
                let attempts = u32::try_from(message.attempts).unwrap_or(u32::MAX);
                let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(attempts)).min(MAX_DELAY);
                let retry_at = Some(now + delay).filter(|at| *at < message.expires_at);
                let retry_at = if matches!(error, DeliveryError::Permanent(_)) { None } else { retry_at };
                tracing::warn!(
                    message.id, message.channel, %error, will_retry = retry_at.is_some(),
                    "a message could not be delivered"
                );
                let last_error = error.to_string().chars().take(MAX_ERROR).collect();
                let payload = if retry_at.is_some() { NotSet } else { Set(None) };
                outbox::ActiveModel { next_at: Set(retry_at), payload, last_error: Set(Some(last_error)), ..row }
            }
        };
        self.db
            .write(|tx| {
                let row = row.clone();
                async move {
                    // Only if this node still holds the lease.
                    let change = outbox::Entity::update_many().set(row).filter(outbox::COLUMN.id.eq(message.id));
                    change.filter(outbox::COLUMN.next_at.eq(lease)).exec(&tx).await.map(|_| ())
                }
            })
            .await
    }

    /// The number of undelivered emails, and when the oldest was enqueued; messages of other transports do not count.
    pub async fn waiting(&self) -> Result<(u64, Option<Timestamp>)> {
        let waiting = outbox::Entity::find()
            .filter(outbox::COLUMN.channel.eq(MAIL))
            .filter(Expr::col(outbox::Column::NextAt).is_not_null());
        let count = crate::page::count_up_to(waiting.clone(), self.db.conn()).await?;
        let oldest = waiting.order_by_asc(outbox::Column::Id).one(self.db.conn()).await?;
        Ok((count, oldest.map(|message| message.created_at)))
    }

    /// Deletes all messages to a user, sent or not.
    pub async fn delete_of(&self, conn: &impl ConnectionTrait, user: UserId) -> Result<(), DbErr> {
        let messages = outbox::Entity::delete_many().filter(outbox::Column::UserId.eq(user));
        messages.exec(conn).await.map(|_| ())
    }

    /// Deletes the content of messages that expired before they were sent, and messages that expired longer than `age`
    /// ago; at most `batch` of each. Returns how many messages were deleted.
    pub async fn prune(&self, age: Duration, batch: u64) -> Result<u64> {
        let now = self.clock.now();
        let expired = outbox::Entity::find()
            .select_only()
            .column(outbox::Column::Id)
            .filter(Expr::col(outbox::Column::NextAt).is_not_null())
            .filter(outbox::COLUMN.expires_at.lt(now))
            .limit(batch);
        let failed = self.db.write(|tx| {
            let expired = sea_orm::QueryTrait::into_query(expired.clone());
            async move {
                outbox::Entity::update_many()
                    .col_expr(outbox::Column::NextAt, Expr::value(Option::<i64>::None))
                    .col_expr(outbox::Column::Payload, Expr::value(Option::<String>::None))
                    .col_expr(outbox::Column::LastError, Expr::value(EXPIRED))
                    .filter(Expr::col(outbox::Column::Id).in_subquery(expired))
                    .exec(&tx)
                    .await
            }
        });
        failed.await?;
        let old = outbox::Entity::find()
            .select_only()
            .column(outbox::Column::Id)
            .filter(outbox::COLUMN.expires_at.lt(now - age))
            .order_by_asc(outbox::Column::ExpiresAt)
            .limit(batch);
        let deleted = self.db.write(|tx| {
            let old = sea_orm::QueryTrait::into_query(old.clone());
            async move {
                let is_old = Expr::col(outbox::Column::Id).in_subquery(old);
                outbox::Entity::delete_many().filter(is_old).exec(&tx).await
            }
        });
        Ok(deleted.await?.rows_affected)
    }
}
