//! The delivery of events to their subscribers.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use sea_orm::{
    ColumnTrait, DbBackend, DbErr, EntityTrait, ExprTrait, FromQueryResult, PaginatorTrait, QueryFilter, QuerySelect,
    Set,
    sea_query::{Expr, LockBehavior, LockType, Query},
};
use tokio::{sync::Notify, time::timeout};

use super::{Emitted, EventId, Subscriber, Subscriptions};
use crate::{
    Clock, Db, Error, Result, Timestamp,
    db::{self, EVENTS, Tx},
    entity::{event, event_delivery},
    job::Job,
};

/// How many deliveries are read at a time.
const BATCH: i64 = 100;
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
/// How many deliveries behind one that is not due one transaction postpones.
const POSTPONED_AT_ONCE: i64 = 1000;
/// The due deliveries after a position.
const DUE: &str = "SELECT event_id, subscriber, aggregate, next_at FROM kernel_event_delivery WHERE next_at <= $1 \
    AND (next_at, event_id, subscriber) > ($2, $3, $4) ORDER BY next_at, event_id, subscriber LIMIT $5";
/// The first pending deliveries of an aggregate for a subscriber, due or not.
const PENDING: &str = "SELECT event_id, next_at FROM kernel_event_delivery \
    WHERE subscriber = $1 AND aggregate = $2 AND next_at IS NOT NULL ORDER BY event_id LIMIT $3";
const POSTPONE: &str = "UPDATE kernel_event_delivery SET next_at = $4 WHERE subscriber = $1 AND event_id IN \
    (SELECT event_id FROM kernel_event_delivery WHERE subscriber = $1 AND aggregate = $2 AND event_id >= $3 \
    AND next_at < $4 ORDER BY event_id LIMIT $5)";

/// Delivers events to their subscribers.
#[derive(Clone)]
pub struct Dispatcher {
    db: Db,
    clock: Clock,
    subscribers: Arc<[Arc<dyn Subscriber>]>,
}

/// A due delivery.
#[derive(FromQueryResult)]
struct Due {
    event_id: EventId,
    subscriber: String,
    aggregate: String,
    next_at: Timestamp,
}

/// A pending delivery of a queue.
#[derive(FromQueryResult)]
struct Pending {
    event_id: EventId,
    next_at: Timestamp,
}

/// The pending deliveries of an aggregate for a subscriber: only the first one is handled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Queue<'a> {
    subscriber: &'a str,
    aggregate: &'a str,
}

/// What was found to be due in a queue.
struct DueEvents {
    first: EventId,
    count: i64,
}

/// What came of a number of deliveries.
#[derive(Default)]
struct Outcome {
    /// How many were handled.
    handled: u64,
    /// Whether others may be due now that were not before.
    has_progress: bool,
}

impl Dispatcher {
    /// The dispatcher of a database. From now on, transactions of `db` store events for these subscribers: a process
    /// that only emits events needs the same subscribers.
    pub fn new(db: Db, clock: Clock, subscribers: Vec<Arc<dyn Subscriber>>) -> Self {
        db.set_event_store(Arc::new(Subscriptions::new(&subscribers, clock.clone())));
        Self { db, clock, subscribers: subscribers.into() }
    }

    /// Handles all due events and returns the number of deliveries.
    pub async fn dispatch(&self) -> Result<u64> {
        let mut handled = 0;
        loop {
            let outcome = self.pass().await?;
            handled += outcome.handled;
            if !outcome.has_progress {
                return Ok(handled);
            }
        }
    }

    /// Reads each delivery that is due now once, so that the work for one does not grow with the length of its queue.
    async fn pass(&self) -> Result<Outcome> {
        let now = self.clock.now();
        let mut total = Outcome::default();
        // Before every delivery.
        let mut position = (Timestamp::from_unix_micros(0), EventId(0), String::new());
        loop {
            let (next_at, event_id, subscriber) = &position;
            let values = [now.into(), (*next_at).into(), (*event_id).into(), subscriber.as_str().into(), BATCH.into()];
            let due: Vec<Due> = db::rows(self.db.conn(), DUE, values).await?;
            for (queue, events) in queues(&due) {
                let outcome = self.handle_queue(queue, events, now).await?;
                total.handled += outcome.handled;
                total.has_progress |= outcome.has_progress;
            }
            let is_last = i64::try_from(due.len()).is_ok_and(|read| read < BATCH);
            match due.into_iter().next_back() {
                Some(last) if !is_last => position = (last.next_at, last.event_id, last.subscriber),
                _ => return Ok(total),
            }
        }
    }

    /// Handles the first events of a queue, as many as were found to be due, until one is not, fails, or is handled by
    /// another node.
    async fn handle_queue(&self, queue: Queue<'_>, due: DueEvents, now: Timestamp) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let values = [queue.subscriber.into(), queue.aggregate.into(), due.count.into()];
        let pending: Vec<Pending> = db::rows(self.db.conn(), PENDING, values).await?;
        let subscriber = self.subscribers.iter().find(|known| known.name() == queue.subscriber);
        for Pending { event_id, next_at } in pending {
            if next_at > now {
                // Those behind are not read again before it is due.
                self.postpone(queue, event_id, due.first).await?;
                break;
            }
            let Some(subscriber) = subscriber else {
                // The subscriber belongs to another version; an operator decides whether to retry.
                self.mark_failed(event_id, queue.subscriber).await?;
                outcome.has_progress = true;
                continue;
            };
            match self.handle(event_id, &**subscriber, now).await {
                Ok(true) => {
                    outcome.handled += 1;
                    outcome.has_progress = true;
                }
                Ok(false) => break,
                Err(error) => {
                    self.store_failure(event_id, queue.subscriber, &error).await?;
                    outcome.has_progress = true;
                    break;
                }
            }
        }
        Ok(outcome)
    }

    /// Makes deliveries, from `due` on, due when the first one of their queue is.
    async fn postpone(&self, queue: Queue<'_>, first: EventId, due: EventId) -> Result<()> {
        self.db
            .write(|tx| async move {
                let Some(row) = self.lock_delivery(&tx, first, queue.subscriber).await? else { return Ok(()) };
                let Queue { subscriber, aggregate } = queue;
                let limit = POSTPONED_AT_ONCE.into();
                let values = [subscriber.into(), aggregate.into(), due.into(), row.next_at.into(), limit];
                db::execute(&tx, POSTPONE, values).await.map(|_| ())
            })
            .await?;
        Ok(())
    }

    /// Locks a pending delivery; `None` if there is none, or if another node has locked it.
    async fn lock_delivery(
        &self,
        tx: &Tx,
        event: EventId,
        subscriber: &str,
    ) -> Result<Option<event_delivery::Model>, DbErr> {
        let mut delivery = event_delivery::Entity::find_by_id((event, subscriber.to_owned()))
            .filter(Expr::col(event_delivery::Column::NextAt).is_not_null());
        if self.db.backend() == DbBackend::Postgres {
            delivery = delivery.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        delivery.one(tx).await
    }

    /// Handles an event; returns `false` if another node does, has done so, or has failed to.
    async fn handle(&self, id: EventId, subscriber: &dyn Subscriber, now: Timestamp) -> Result<bool> {
        self.db
            .write(|tx| async move {
                let delivery = self.lock_delivery(&tx, id, subscriber.name()).await?;
                if delivery.and_then(|delivery| delivery.next_at).is_none_or(|next_at| next_at > now) {
                    return Ok(false);
                }
                let Some(row) = event::Entity::find_by_id(id).one(&tx).await? else { return Ok(false) };
                let event::Model { id, name, aggregate, payload, at } = row;
                let emitted = Emitted { id, name, aggregate, at, payload };
                let handling = AssertUnwindSafe(subscriber.handle(&tx, &emitted)).catch_unwind();
                match timeout(MAX_HANDLING, handling).await {
                    Ok(Ok(outcome)) => outcome?,
                    Ok(Err(_)) => return Err(Error::internal("the subscriber panicked")),
                    Err(_) => return Err(Error::internal("the subscriber took too long")),
                }
                event_delivery::Entity::delete_by_id((id, subscriber.name().to_owned())).exec(&tx).await?;
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
                let Some(row) = event_delivery::Entity::find_by_id(key).one(&tx).await? else { return Ok(()) };
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
                event_delivery::Entity::update(change).exec(&tx).await.map(|_| ())
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
                    .exec(&tx)
                    .await
                    .map(|_| ())
            })
            .await?;
        Ok(())
    }

    /// Handles events until it is dropped: after each commit of this process that emits events, on notifications of
    /// processes on the same PostgreSQL database that have no dispatcher, and by polling, for retries, for processes that
    /// have crashed, and for those on the same SQLite database.
    pub async fn dispatch_forever(&self) {
        self.db.set_dispatches();
        let notified = Notify::new();
        tokio::join!(self.listen(&notified), self.dispatch_when(&notified));
    }

    async fn dispatch_when(&self, notified: &Notify) {
        let mut stored_work = self.db.stored_work();
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
                () = notified.notified() => {}
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    /// Listens for events of other processes. Where notifications do not arrive, behind a connection pooler for example,
    /// polling finds the events.
    async fn listen(&self, notified: &Notify) {
        let Some(mut listener) = self.db.listener(EVENTS) else { return };
        let mut is_lost = false;
        loop {
            match listener.next().await {
                // Also when it has connected again: events that were notified meanwhile are found now.
                Ok(_) => {
                    if std::mem::take(&mut is_lost) {
                        tracing::info!("listening for events of other processes again");
                    }
                    notified.notify_one();
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_lost, true) {
                        tracing::warn!(%error, "cannot listen for events of other processes; polling instead");
                    }
                    tokio::time::sleep(MAX_POLL).await;
                }
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
                .exec(&tx)
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

/// The queues of these deliveries, in the order of their first events.
fn queues(due: &[Due]) -> Vec<(Queue<'_>, DueEvents)> {
    let mut queues: BTreeMap<Queue<'_>, DueEvents> = BTreeMap::new();
    for Due { event_id, subscriber, aggregate, .. } in due {
        let events = queues.entry(Queue { subscriber, aggregate }).or_insert(DueEvents { first: *event_id, count: 0 });
        events.first = Ord::min(events.first, *event_id);
        events.count += 1;
    }
    let mut queues: Vec<_> = queues.into_iter().collect();
    queues.sort_by_key(|(_, events)| events.first);
    queues
}

/// Deletes handled events, hourly.
#[async_trait]
impl Job for Dispatcher {
    fn name(&self) -> &'static str {
        "kernel.events"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> Result<()> {
        self.prune().await
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
    handled.exec(tx).await.map(|_| ())
}
