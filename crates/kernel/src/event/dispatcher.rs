//! The delivery of events to their subscribers.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

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
    Clock, Db, Error, Result,
    db::{self, EVENTS, Tx},
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
/// The due deliveries: per subscriber and aggregate, only the first pending event.
const DUE: &str = "SELECT d.event_id, d.subscriber FROM kernel_event_delivery d WHERE d.next_at <= $1 \
    AND NOT EXISTS (SELECT 1 FROM kernel_event_delivery e WHERE e.subscriber = d.subscriber \
    AND e.aggregate = d.aggregate AND e.event_id < d.event_id AND e.next_at IS NOT NULL) \
    ORDER BY d.event_id LIMIT $2";

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
        db.set_event_store(Arc::new(Subscriptions::new(&subscribers, clock.clone())));
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
        db::rows(self.db.conn(), DUE, values).await
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
                let Some(_) = delivery.one(&tx).await? else { return Ok(false) };
                let Some(row) = event::Entity::find_by_id(id).one(&tx).await? else { return Ok(false) };
                let event::Model { id, name, aggregate, payload, at } = row;
                let emitted = Emitted { id, name, aggregate, at, payload };
                let handling = AssertUnwindSafe(subscriber.handle(&tx, &emitted)).catch_unwind();
                match timeout(MAX_HANDLING, handling).await {
                    Ok(Ok(outcome)) => outcome?,
                    Ok(Err(_)) => return Err(Error::internal("the subscriber panicked")),
                    Err(_) => return Err(Error::internal("the subscriber took too long")),
                }
                event_delivery::Entity::delete_by_id(key).exec(&tx).await?;
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
        loop {
            match listener.next().await {
                // Also when it has connected again: events that were notified meanwhile are found now.
                Ok(_) => notified.notify_one(),
                Err(error) => {
                    tracing::warn!(%error, "cannot listen for events of other processes; polling instead");
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
