//! Typed events: stored in the transaction that causes them, and handled afterwards by each subscriber.
//!
//! The events of a transaction that rolls back are discarded. After a commit, each subscriber of an event's name
//! handles it: in order per aggregate, with retries, also after a crash. A subscriber handles an event in a transaction
//! that also removes the event from its queue, so its database changes happen exactly once. Everything that leaves the
//! database goes through the [outbox](crate::outbox).

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt;
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExprTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QuerySelect, Set, Statement,
    sea_query::{Expr, LockBehavior, LockType, Query},
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::postgres::PgListener;
use tokio::{sync::watch, time::timeout};

use crate::{
    Clock, Db, Error, Result, Timestamp,
    db::Tx,
    define_id,
    entity::{event, event_delivery},
    job::Job,
};

/// How many deliveries are read at a time.
const BATCH: u64 = 100;
/// How long a subscriber may take for one event: it holds a transaction open.
const MAX_HANDLING: Duration = Duration::from_secs(20);
/// The delay after the first failure; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(3600);
/// The number of attempts, over about eight hours, after which an event has failed for a subscriber.
const MAX_ATTEMPTS: i32 = 20;
/// The bounds of the polling interval, for events without a notification.
const MIN_POLL: Duration = Duration::from_millis(200);
const MAX_POLL: Duration = Duration::from_secs(5);
/// The longest error that is stored, in characters.
const MAX_ERROR: usize = 500;
/// The PostgreSQL channel that notifies other processes of events.
pub(crate) const CHANNEL: &str = "guildhall_events";

/// The due deliveries: per subscriber and aggregate, only the first pending event.
const DUE: &str = "SELECT d.event_id, d.subscriber FROM kernel_event_delivery d WHERE d.next_at <= $1 \
    AND NOT EXISTS (SELECT 1 FROM kernel_event_delivery e WHERE e.subscriber = d.subscriber \
    AND e.aggregate = d.aggregate AND e.event_id < d.event_id AND e.next_at IS NOT NULL) \
    ORDER BY d.event_id LIMIT $2";

define_id!(
    /// An event. The ids of the events of one aggregate ascend.
    EventId
);

/// A domain event.
///
/// An event is a struct of its own, never derived from a table or an audit entry. Newer versions read stored events:
/// new fields need a default, and fields are never renamed.
pub trait Event: Serialize + DeserializeOwned + Send + Sync {
    /// The name, in the past tense: `deals.deal_won`. Stored, so it never changes.
    const NAME: &'static str;

    /// The object that the event is about: `deals/3/deal/7`. Events of one aggregate are handled in order if the
    /// transactions that emit them lock it.
    fn aggregate(&self) -> String;
}

/// Defines events: structs with their fields, their name, and the aggregate of each.
///
/// ```
/// guildhall_kernel::define_events! {
///     /// A thing was renamed.
///     ThingRenamed("things.thing_renamed", |event| format!("things/{}", event.thing)) {
///         /// The thing.
///         thing: i64,
///     }
/// }
/// ```
#[macro_export]
macro_rules! define_events {
    ($($(#[$doc:meta])* $event:ident($name:literal, $aggregate:expr) {
        $($(#[$field_doc:meta])* $field:ident: $kind:ty,)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, ::serde::Serialize, ::serde::Deserialize)]
            pub struct $event {
                $($(#[$field_doc])* pub $field: $kind,)*
            }

            impl $crate::event::Event for $event {
                const NAME: &'static str = $name;

                fn aggregate(&self) -> String {
                    let aggregate: fn(&Self) -> String = $aggregate;
                    aggregate(self)
                }
            }
        )*
    };
}

/// An event as it was stored.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// The id, by which a subscriber recognises repeated deliveries.
    pub id: EventId,
    /// The name of the type.
    pub name: String,
    /// The object that it is about.
    pub aggregate: String,
    /// When it was emitted.
    pub at: Timestamp,
    payload: String,
}

impl Emitted {
    /// The event as this type; `None` if it is of another type.
    ///
    /// # Errors
    /// If the payload cannot be deserialized.
    pub fn read<E: Event>(&self) -> Result<Option<E>> {
        if self.name != E::NAME {
            return Ok(None);
        }
        serde_json::from_str(&self.payload).map(Some).map_err(Error::internal)
    }

    /// The event as JSON, with the fields of its type.
    ///
    /// # Errors
    /// If the payload cannot be deserialized.
    pub fn payload(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.payload).map_err(Error::internal)
    }
}

/// Handles events.
#[async_trait]
pub trait Subscriber: Send + Sync + 'static {
    /// The name: `deals.webhooks`. Stored, so it never changes.
    fn name(&self) -> &'static str;

    /// The names of the events it handles.
    fn events(&self) -> Vec<&'static str>;

    /// Whether it handles the events of an aggregate. Called in the transaction that emits the event: a query here pays
    /// off if it avoids storing events that no subscriber needs.
    async fn wants(&self, tx: &Tx, aggregate: &str) -> Result<bool, DbErr> {
        let _ = (tx, aggregate);
        Ok(true)
    }

    /// Handles an event in a transaction, which must not do anything slow. After an error the transaction rolls back
    /// and the event is retried.
    async fn handle(&self, tx: &Tx, event: &Emitted) -> Result<()>;
}

/// The names of the subscribers of each event.
pub(crate) struct Subscriptions {
    by_event: RwLock<HashMap<&'static str, Vec<Subscription>>>,
    clock: RwLock<Clock>,
    stored_work: watch::Sender<()>,
}

/// A subscriber. The reference is weak to avoid a cycle: the dispatcher owns the subscribers and the database, and the
/// database owns the subscriptions.
#[derive(Clone)]
struct Subscription {
    name: &'static str,
    subscriber: Weak<dyn Subscriber>,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self { by_event: RwLock::default(), clock: RwLock::new(Clock::system()), stored_work: watch::Sender::default() }
    }
}

impl Subscriptions {
    fn of(&self, event: &str) -> Vec<Subscription> {
        let by_event = self.by_event.read().unwrap_or_else(PoisonError::into_inner);
        by_event.get(event).cloned().unwrap_or_default()
    }

    pub(crate) fn has_subscribers(&self, event: &str) -> bool {
        !self.of(event).is_empty()
    }

    /// Wakes the dispatcher and the outbox of this process.
    pub(crate) fn wake(&self) {
        self.stored_work.send_replace(());
    }

    pub(crate) fn stored_work(&self) -> watch::Receiver<()> {
        self.stored_work.subscribe()
    }

    /// Stores an event for its subscribers; returns whether there are any.
    pub(crate) async fn store<E: Event>(&self, tx: &Tx, emitted: &E) -> Result<bool, DbErr> {
        let subscriptions = self.of(E::NAME);
        if subscriptions.is_empty() {
            return Ok(false);
        }
        let aggregate = emitted.aggregate();
        let mut subscribers = Vec::with_capacity(subscriptions.len());
        for Subscription { name, subscriber } in subscriptions {
            let wants = match subscriber.upgrade() {
                Some(subscriber) => subscriber.wants(tx, &aggregate).await?,
                None => true,
            };
            if wants {
                subscribers.push(name);
            }
        }
        if subscribers.is_empty() {
            return Ok(false);
        }
        let conn = tx.conn();
        let now = self.clock.read().unwrap_or_else(PoisonError::into_inner).now();
        let row = event::ActiveModel {
            id: NotSet,
            name: Set(E::NAME.to_owned()),
            aggregate: Set(aggregate.clone()),
            payload: Set(serde_json::to_string(emitted).map_err(|error| DbErr::Custom(error.to_string()))?),
            at: Set(now),
        };
        let id = event::Entity::insert(row).exec(conn).await?.last_insert_id;
        let delivery = |subscriber: &str| event_delivery::ActiveModel {
            event_id: Set(id),
            subscriber: Set(subscriber.to_owned()),
            aggregate: Set(aggregate.clone()),
            attempts: Set(0),
            next_at: Set(Some(now)),
            last_error: Set(None),
        };
        let deliveries = subscribers.into_iter().map(delivery);
        event_delivery::Entity::insert_many(deliveries).exec_without_returning(conn).await?;
        if conn.get_database_backend() == DbBackend::Postgres {
            // PostgreSQL sends it when the transaction commits.
            let notify =
                Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_notify($1, '')", [CHANNEL.into()]);
            conn.execute_raw(notify).await?;
        }
        Ok(true)
    }
}

/// Delivers events to their subscribers.
#[derive(Clone)]
pub struct Dispatcher {
    db: Db,
    clock: Clock,
    subscribers: Arc<[Arc<dyn Subscriber>]>,
}

#[derive(FromQueryResult)]
struct Due {
    event_id: EventId,
    subscriber: String,
}

impl Dispatcher {
    /// The dispatcher of a database. From now on, transactions of `db` store events for these subscribers: a process
    /// that only emits events needs the same subscribers.
    pub fn new(db: Db, clock: Clock, subscribers: Vec<Arc<dyn Subscriber>>) -> Self {
        let mut by_event: HashMap<_, Vec<_>> = HashMap::new();
        for subscriber in &subscribers {
            for event in subscriber.events() {
                let subscription = Subscription { name: subscriber.name(), subscriber: Arc::downgrade(subscriber) };
                by_event.entry(event).or_default().push(subscription);
            }
        }
        let subscriptions = db.subscriptions();
        *subscriptions.by_event.write().unwrap_or_else(PoisonError::into_inner) = by_event;
        *subscriptions.clock.write().unwrap_or_else(PoisonError::into_inner) = clock.clone();
        Self { db, clock, subscribers: subscribers.into() }
    }

    /// Handles all due events and returns the number of deliveries.
    pub async fn dispatch(&self) -> Result<u64> {
        let mut handled = 0;
        loop {
            let due = self.due().await?;
            let mut progress = false;
            for Due { event_id, subscriber } in due {
                let Some(subscriber) = self.subscribers.iter().find(|known| known.name() == subscriber) else {
                    // The subscriber belongs to another version; an operator decides whether to retry.
                    self.mark_failed(event_id, &subscriber).await?;
                    progress = true;
                    continue;
                };
                match self.handle(event_id, &**subscriber).await {
                    Ok(true) => {
                        handled += 1;
                        progress = true;
                    }
                    Ok(false) => {}
                    Err(error) => {
                        // It is due later now, and no longer hides the events behind it.
                        self.store_failure(event_id, subscriber.name(), &error).await?;
                        progress = true;
                    }
                }
            }
            if !progress {
                return Ok(handled);
            }
        }
    }

    async fn due(&self) -> Result<Vec<Due>, DbErr> {
        let values = [self.clock.now().into(), BATCH.into()];
        let due = Statement::from_sql_and_values(self.db.backend(), DUE, values);
        Due::find_by_statement(due).all(self.db.conn()).await
    }

    /// Handles an event; returns `false` if another node handles it.
    async fn handle(&self, id: EventId, subscriber: &dyn Subscriber) -> Result<bool> {
        self.db
            .write(|tx| async move {
                let key = (id, subscriber.name().to_owned());
                let mut delivery = event_delivery::Entity::find_by_id(key.clone())
                    .filter(Expr::col(event_delivery::Column::NextAt).is_not_null());
                if self.db.backend() == DbBackend::Postgres {
                    delivery = delivery.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
                }
                let Some(_) = delivery.one(tx.conn()).await? else { return Ok(false) };
                let Some(row) = event::Entity::find_by_id(id).one(tx.conn()).await? else { return Ok(false) };
                let event::Model { id, name, aggregate, payload, at } = row;
                let emitted = Emitted { id, name, aggregate, at, payload };
                let handling = AssertUnwindSafe(subscriber.handle(&tx, &emitted)).catch_unwind();
                match timeout(MAX_HANDLING, handling).await {
                    Ok(Ok(outcome)) => outcome?,
                    Ok(Err(_)) => return Err(Error::internal("the subscriber panicked")),
                    Err(_) => return Err(Error::internal("the subscriber took too long")),
                }
                event_delivery::Entity::delete_by_id(key).exec(tx.conn()).await?;
                delete_handled(&tx, Some(id)).await?;
                Ok::<_, Error>(true)
            })
            .await
    }

    async fn store_failure(&self, id: EventId, subscriber: &str, error: &Error) -> Result<()> {
        let now = self.clock.now();
        let last_error: &String = &error.to_string().chars().take(MAX_ERROR).collect();
        self.db
            .write(|tx| async move {
                let key = (id, subscriber.to_owned());
                let Some(row) = event_delivery::Entity::find_by_id(key).one(tx.conn()).await? else { return Ok(()) };
                let attempts = row.attempts.saturating_add(1);
                let factor = 2_u32.saturating_pow(u32::try_from(row.attempts).unwrap_or_default());
                let delay = FIRST_DELAY.saturating_mul(factor).min(MAX_DELAY);
                let next_at = (attempts < MAX_ATTEMPTS).then(|| now + delay);
                tracing::error!(
                    event.id = id.0, subscriber, attempts, will_retry = next_at.is_some(), error = %last_error,
                    "an event could not be handled"
                );
                let change = event_delivery::ActiveModel {
                    attempts: Set(attempts),
                    next_at: Set(next_at),
                    last_error: Set(Some(last_error.clone())),
                    ..sea_orm::IntoActiveModel::into_active_model(row)
                };
                event_delivery::Entity::update(change).exec(tx.conn()).await.map(|_| ())
            })
            .await?;
        Ok(())
    }

    async fn mark_failed(&self, id: EventId, subscriber: &str) -> Result<()> {
        self.db
            .write(|tx| async move {
                event_delivery::Entity::update_many()
                    .col_expr(event_delivery::Column::NextAt, Expr::value(Option::<i64>::None))
                    .col_expr(event_delivery::Column::LastError, Expr::value("The subscriber does not exist."))
                    .filter(event_delivery::COLUMN.event_id.eq(id))
                    .filter(event_delivery::COLUMN.subscriber.eq(subscriber))
                    .exec(tx.conn())
                    .await
                    .map(|_| ())
            })
            .await?;
        Ok(())
    }

    /// Handles events until it is dropped: after each commit of this process that emits events, on notifications from
    /// PostgreSQL, and by polling, for retries and for other processes on the same SQLite database.
    pub async fn dispatch_forever(&self) {
        let mut stored_work = self.db.stored_work();
        // Without a listener, for example behind a connection pooler, polling finds the events of other processes.
        let mut listener = self.db.listen(CHANNEL).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot listen for events of other processes; polling instead");
            None
        });
        let mut interval = MIN_POLL;
        loop {
            interval = match self.dispatch().await {
                Ok(0) => (interval * 2).min(MAX_POLL),
                Ok(_) => MIN_POLL,
                Err(error) => {
                    tracing::error!(%error, "events could not be dispatched");
                    MAX_POLL
                }
            };
            tokio::select! {
                _ = stored_work.changed() => {}
                () = notified(&mut listener) => {}
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    /// The number of deliveries that have failed permanently.
    pub async fn failed(&self) -> Result<u64> {
        let failed = event_delivery::Entity::find().filter(Expr::col(event_delivery::Column::NextAt).is_null());
        Ok(failed.count(self.db.conn()).await?)
    }

    /// Schedules all permanently failed deliveries again and returns how many there are.
    pub async fn retry_failed(&self) -> Result<u64> {
        let now = self.clock.now();
        let retried = self.db.write(|tx| async move {
            event_delivery::Entity::update_many()
                .col_expr(event_delivery::Column::NextAt, Expr::value(now))
                .col_expr(event_delivery::Column::Attempts, Expr::value(0))
                .filter(Expr::col(event_delivery::Column::NextAt).is_null())
                .exec(tx.conn())
                .await
        });
        Ok(retried.await?.rows_affected)
    }

    /// Deletes events that all subscribers have handled. Two subscribers that finish concurrently leave the event
    /// behind, because neither sees the other's delivery as handled.
    pub async fn prune(&self) -> Result<()> {
        self.db.write(|tx| async move { delete_handled(&tx, None).await }).await?;
        Ok(())
    }
}

/// Deletes handled events, hourly.
#[async_trait]
impl Job for Dispatcher {
    fn name(&self) -> &'static str {
        "kernel.events"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> Result<()> {
        self.prune().await
    }
}

/// Waits for a notification from another process; for ever without a listener.
async fn notified(listener: &mut Option<PgListener>) {
    match listener {
        // The listener reconnects by itself; polling finds the events that it missed meanwhile.
        Some(listener) => {
            if let Err(error) = listener.recv().await {
                tracing::warn!(%error, "PostgreSQL notifications are interrupted");
                tokio::time::sleep(MAX_POLL).await;
            }
        }
        None => std::future::pending().await,
    }
}

/// Deletes an event, or all events, without remaining deliveries.
async fn delete_handled(tx: &Tx, id: Option<EventId>) -> Result<(), DbErr> {
    let remaining = Query::select()
        .expr(Expr::val(1))
        .from(event_delivery::Entity)
        .and_where(
            Expr::col((event_delivery::Entity, event_delivery::Column::EventId))
                .equals((event::Entity, event::Column::Id)),
        )
        .to_owned();
    let mut handled = event::Entity::delete_many().filter(Expr::exists(remaining).not());
    if let Some(id) = id {
        handled = handled.filter(event::COLUMN.id.eq(id));
    }
    handled.exec(tx.conn()).await.map(|_| ())
}
