//! What is to leave the installation: stored with the act that caused it, delivered afterwards, at
//! least once, with patience.

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
    entity::outbox,
    mail::{Mail, Mailer, Undelivered, address_key},
};

/// How long whoever has taken a letter may try before somebody else takes it.
const LEASE: Duration = Duration::from_secs(120);
/// How long a carrier may take for one of them; shorter than the lease, or two would have it.
const LONGEST_DELIVERY: Duration = Duration::from_secs(60);
/// The pause after the first failure; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How many are read at a time.
const BATCH: u64 = 50;
const MAIL: &str = "mail";
/// How much is kept of what a server said, in characters.
const LONGEST_COMPLAINT: usize = 500;

/// What waits to leave the installation: letters, and what other carriers take.
#[derive(Clone)]
pub struct Outbox {
    db: Db,
    clock: Clock,
    news: watch::Sender<()>,
    delivery_limit: Duration,
    limits: EmailLimits,
}

/// How many emails an address is sent in a day before it gets no more that others cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmailLimits {
    /// Before no invitation goes there.
    pub invitations_per_address: u32,
    /// Before no reminder goes there.
    pub reminders_per_address: u32,
}

impl Default for EmailLimits {
    fn default() -> Self {
        Self { invitations_per_address: 5, reminders_per_address: 20 }
    }
}

/// An email that somebody else than its recipient causes, and writes some of the words of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unasked {
    /// To a group or an organization.
    Invitation,
    /// Of a task.
    Reminder,
}

/// Something that is to leave the installation.
#[derive(Clone)]
pub struct Parcel<'a> {
    /// Whose carrier takes it.
    pub channel: &'static str,
    /// To whom it goes, where that is a person here: it is forgotten with them.
    pub user: Option<UserId>,
    /// Where it goes, for those who look after the installation.
    pub recipient: &'a str,
    /// What it is, for the same.
    pub title: &'a str,
    /// What its carrier is told, and nobody else; forgotten once it is delivered or given up.
    pub payload: String,
}

/// Takes what leaves by one channel to where it goes.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// The channel, which never changes.
    fn channel(&self) -> &'static str;

    /// How many are on their way at a time.
    fn at_once(&self) -> usize {
        1
    }

    /// Hands something over. The same `id` means the same thing, which may be handed over twice when the first
    /// time was not noted.
    async fn carry(&self, id: i64, payload: &str) -> Result<(), Undelivered>;
}

/// Takes letters to a mail server.
struct ByMail<'a>(&'a dyn Mailer);

#[async_trait]
impl Carrier for ByMail<'_> {
    fn channel(&self) -> &'static str {
        MAIL
    }

    fn at_once(&self) -> usize {
        self.0.at_once()
    }

    async fn carry(&self, id: i64, payload: &str) -> Result<(), Undelivered> {
        match serde_json::from_str::<Mail>(payload) {
            Ok(mail) => self.0.send(id, &mail).await,
            Err(error) => Err(Undelivered::ForGood(error.to_string())),
        }
    }
}

impl Outbox {
    /// The outbox of a database.
    pub fn new(db: Db, clock: Clock) -> Self {
        Self {
            db,
            clock,
            news: watch::Sender::default(),
            delivery_limit: LONGEST_DELIVERY,
            limits: EmailLimits::default(),
        }
    }

    /// The same, with other limits on emails that others cause.
    #[must_use]
    pub fn with_limits(self, limits: EmailLimits) -> Self {
        Self { limits, ..self }
    }

    /// The same, with another limit on how long one delivery may take; shorter than two minutes.
    #[must_use]
    pub fn with_delivery_limit(self, delivery_limit: Duration) -> Self {
        Self { delivery_limit, ..self }
    }

    /// Stores a letter in the transaction of the act that it tells about. After `life` it is not worth
    /// sending any more, and what it says is forgotten when next something is cleared away.
    pub async fn post(
        &self,
        conn: &impl ConnectionTrait,
        user: Option<UserId>,
        mail: &Mail,
        life: Duration,
    ) -> Result<(), DbErr> {
        let payload = serde_json::to_string(mail).map_err(|error| DbErr::Custom(error.to_string()))?;
        let letter = Parcel { channel: MAIL, user, recipient: &mail.to, title: &mail.subject, payload };
        self.send(conn, letter, life).await
    }

    /// Stores something that another carrier takes, in the same way.
    pub async fn send(&self, conn: &impl ConnectionTrait, parcel: Parcel<'_>, life: Duration) -> Result<(), DbErr> {
        let now = self.clock.now();
        let row = outbox::ActiveModel {
            id: NotSet,
            channel: Set(parcel.channel.to_owned()),
            user_id: Set(parcel.user),
            recipient: Set(parcel.recipient.to_owned()),
            title: Set(parcel.title.to_owned()),
            payload: Set(Some(parcel.payload)),
            created_at: Set(now),
            expires_at: Set(now + life),
            attempts: Set(0),
            next_at: Set(Some(now)),
            sent_at: Set(None),
            last_error: Set(None),
            recipient_key: Set(address_key(parcel.recipient)),
        };
        outbox::Entity::insert(row).exec_without_returning(conn).await.map(|_| ())
    }

    /// May an address be sent another email that its owner has not asked for? Not where it was sent as many emails
    /// within a day as the limits have it, whatever emails those were and however the address was spelled.
    pub async fn may_post(&self, conn: &impl ConnectionTrait, unasked: Unasked, address: &str) -> Result<bool, DbErr> {
        let limit = match unasked {
            Unasked::Invitation => self.limits.invitations_per_address,
            Unasked::Reminder => self.limits.reminders_per_address,
        };
        let theirs = outbox::Entity::find()
            .filter(outbox::COLUMN.recipient_key.eq(address_key(address)))
            .filter(outbox::COLUMN.created_at.gt(self.clock.now() - DAY));
        Ok(sea_orm::PaginatorTrait::count(theirs, conn).await? < u64::from(limit))
    }

    /// Says that something was posted, once its transaction is through.
    pub fn wake(&self) {
        self.news.send_replace(());
    }

    /// Changes whenever somebody says that something was posted.
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Delivers the letters that are due; gives how many were delivered. Of several nodes one takes a letter.
    pub async fn deliver(&self, mailer: &dyn Mailer) -> Result<u64> {
        self.carry(&ByMail(mailer)).await
    }

    /// Delivers what is due for a carrier; gives how much was delivered. Of several nodes one takes it.
    pub async fn carry(&self, carrier: &dyn Carrier) -> Result<u64> {
        let mut delivered = 0;
        loop {
            let due = self.due(carrier.channel()).await?;
            if due.is_empty() {
                return Ok(delivered);
            }
            let handed_over: Vec<_> = due.iter().map(|parcel| self.hand_over(carrier, parcel)).collect();
            let handed_over = stream::iter(handed_over).buffer_unordered(carrier.at_once().max(1));
            let outcomes: Vec<Result<bool>> = handed_over.collect().await;
            for outcome in outcomes {
                delivered += u64::from(outcome?);
            }
        }
    }

    /// Takes something, hands it over and notes what became of it; gives whether it was delivered.
    async fn hand_over(&self, carrier: &dyn Carrier, parcel: &outbox::Model) -> Result<bool> {
        let now = self.clock.now();
        let (Some(taken), Some(payload)) = (self.take(parcel, now).await?, &parcel.payload) else { return Ok(false) };
        let outcome = if parcel.expires_at <= now {
            Err(Undelivered::ForGood("It has expired.".to_owned()))
        } else {
            match timeout(self.delivery_limit, carrier.carry(parcel.id, payload)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Undelivered::ForNow(format!("no answer within {} s", self.delivery_limit.as_secs()))),
            }
        };
        let is_delivered = outcome.is_ok();
        self.note(parcel, taken, outcome).await?;
        Ok(is_delivered)
    }

    async fn due(&self, channel: &str) -> Result<Vec<outbox::Model>, DbErr> {
        let now = self.clock.now();
        // Further ahead than anything is put off: a clock was ahead when it was.
        let due = outbox::COLUMN.next_at.lte(now).or(outbox::COLUMN.next_at.gt(now + LONGEST_PAUSE));
        outbox::Entity::find()
            .filter(outbox::COLUMN.channel.eq(channel))
            .filter(due)
            .order_by_asc(outbox::Column::NextAt)
            .limit(BATCH)
            .all(self.db.conn())
            .await
    }

    /// Takes a letter for the time of the lease, unless somebody else has.
    async fn take(&self, letter: &outbox::Model, now: Timestamp) -> Result<Option<Timestamp>, DbErr> {
        let Some(before) = letter.next_at else { return Ok(None) };
        let until = now + LEASE;
        let taken = self.db.write(|tx| async move {
            outbox::Entity::update_many()
                .col_expr(outbox::Column::NextAt, Expr::value(until))
                .col_expr(outbox::Column::Attempts, Expr::col(outbox::Column::Attempts).add(1))
                .filter(outbox::COLUMN.id.eq(letter.id))
                .filter(outbox::COLUMN.next_at.eq(before))
                .exec(tx.conn())
                .await
        });
        Ok((taken.await?.rows_affected == 1).then_some(until))
    }

    async fn note(
        &self,
        letter: &outbox::Model,
        taken: Timestamp,
        outcome: Result<(), Undelivered>,
    ) -> Result<(), DbErr> {
        let now = self.clock.now();
        let row = outbox::ActiveModel { id: sea_orm::ActiveValue::Unchanged(letter.id), ..Default::default() };
        let row = match outcome {
            Ok(()) => outbox::ActiveModel {
                sent_at: Set(Some(now)),
                next_at: Set(None),
                payload: Set(None),
                last_error: Set(None),
                ..row
            },
            Err(error) => {
                let attempts = u32::try_from(letter.attempts).unwrap_or(u32::MAX);
                let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempts)).min(LONGEST_PAUSE);
                let again = Some(now + pause).filter(|again| *again < letter.expires_at);
                let again = if matches!(error, Undelivered::ForGood(_)) { None } else { again };
                tracing::warn!(letter.id, letter.channel, %error, again = again.is_some(), "it could not be delivered");
                let complaint = error.to_string().chars().take(LONGEST_COMPLAINT).collect();
                let payload = if again.is_some() { NotSet } else { Set(None) };
                outbox::ActiveModel { next_at: Set(again), payload, last_error: Set(Some(complaint)), ..row }
            }
        };
        self.db
            .write(|tx| {
                let row = row.clone();
                async move {
                    // Whoever came after the lease has the last word.
                    let change = outbox::Entity::update_many().set(row).filter(outbox::COLUMN.id.eq(letter.id));
                    change.filter(outbox::COLUMN.next_at.eq(taken)).exec(tx.conn()).await.map(|_| ())
                }
            })
            .await
    }

    /// How many letters wait, and since when the oldest does; what other carriers take is not counted.
    pub async fn waiting(&self) -> Result<(u64, Option<Timestamp>)> {
        let waiting = outbox::Entity::find()
            .filter(outbox::COLUMN.channel.eq(MAIL))
            .filter(Expr::col(outbox::Column::NextAt).is_not_null());
        let count = crate::page::count_up_to(waiting.clone(), self.db.conn()).await?;
        let oldest = waiting.order_by_asc(outbox::Column::Id).one(self.db.conn()).await?;
        Ok((count, oldest.map(|letter| letter.created_at)))
    }

    /// Forgets every letter to a person, sent or not.
    pub async fn forget(&self, conn: &impl ConnectionTrait, user: UserId) -> Result<(), DbErr> {
        let theirs = outbox::Entity::delete_many().filter(outbox::Column::UserId.eq(user));
        theirs.exec(conn).await.map(|_| ())
    }

    /// Forgets what letters say that have expired without being sent, and letters altogether that expired
    /// longer than `age` ago; at most `batch` of each. Gives how many went altogether.
    pub async fn prune(&self, age: Duration, batch: u64) -> Result<u64> {
        let now = self.clock.now();
        let stale = outbox::Entity::find()
            .select_only()
            .column(outbox::Column::Id)
            .filter(Expr::col(outbox::Column::NextAt).is_not_null())
            .filter(outbox::COLUMN.expires_at.lt(now))
            .limit(batch);
        let given_up = self.db.write(|tx| {
            let stale = sea_orm::QueryTrait::into_query(stale.clone());
            async move {
                outbox::Entity::update_many()
                    .col_expr(outbox::Column::NextAt, Expr::value(Option::<i64>::None))
                    .col_expr(outbox::Column::Payload, Expr::value(Option::<String>::None))
                    .col_expr(outbox::Column::LastError, Expr::value("It has expired."))
                    .filter(Expr::col(outbox::Column::Id).in_subquery(stale))
                    .exec(tx.conn())
                    .await
            }
        });
        given_up.await?;
        let old = outbox::Entity::find()
            .select_only()
            .column(outbox::Column::Id)
            .filter(outbox::COLUMN.expires_at.lt(now - age))
            .order_by_asc(outbox::Column::ExpiresAt)
            .limit(batch);
        let gone = self.db.write(|tx| {
            let old = sea_orm::QueryTrait::into_query(old.clone());
            async move {
                let which = Expr::col(outbox::Column::Id).in_subquery(old);
                outbox::Entity::delete_many().filter(which).exec(tx.conn()).await
            }
        });
        Ok(gone.await?.rows_affected)
    }
}
