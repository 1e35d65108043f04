//! Typed events: stored in the transaction that causes them, and handled afterwards by each subscriber.
//!
//! The events of a transaction that rolls back are discarded. After a commit, each subscriber of an event's name
//! handles it: in order per aggregate, with retries, also after a crash. A subscriber handles an event in a transaction
//! that also removes the event from its queue, so its database changes happen exactly once. Everything that leaves the
//! database goes through the [outbox](crate::outbox).

mod dispatcher;

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use sea_orm::{ActiveValue::NotSet, ConnectionTrait, DbBackend, DbErr, EntityTrait, Set};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Clock, Error, Result, Timestamp,
    db::{self, EventStore, NewEvent, Tx},
    entity::{event, event_delivery},
};

pub use crate::entity::event::EventId;
pub use dispatcher::Dispatcher;

/// Stores the delivery of the event that was stored last, on SQLite: its id is the largest, since there is one writer
/// and ids are never reused.
const DELIVERY: &str = "INSERT INTO kernel_event_delivery (event_id, subscriber, aggregate, attempts, next_at) \
     VALUES ((SELECT max(id) FROM kernel_event), $1, $2, 0, $3)";

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

    /// Called in the transaction that emits an event it wants, for what must not wait behind other events: what is
    /// registered here with [`Tx::after_commit`] runs in the process that emitted it. That may be lost in a crash, so
    /// [`handle`](Self::handle) has to do it too.
    fn emitted(&self, tx: &Tx, aggregate: &str) {
        let _ = (tx, aggregate);
    }

    /// Handles an event in a transaction, which must not do anything slow. After an error the transaction rolls back
    /// and the event is retried.
    async fn handle(&self, tx: &Tx, event: &Emitted) -> Result<()>;
}

impl Tx {
    /// Stores an event for its subscribers, which handle it after the commit. Does nothing without subscribers.
    ///
    /// # Errors
    /// If the event cannot be stored; the transaction should fail then.
    pub async fn emit<E: Event>(&self, event: &E) -> Result<(), DbErr> {
        let Some(store) = self.event_store() else { return Ok(()) };
        if !store.has_subscribers(E::NAME) {
            return Ok(());
        }
        let payload = || serde_json::to_string(event).map_err(|error| DbErr::Custom(error.to_string()));
        let new = NewEvent { name: E::NAME, aggregate: event.aggregate(), payload: &payload };
        if store.store(self, new).await? {
            self.wake_after_commit();
        }
        Ok(())
    }

    /// Whether anybody subscribes to an event, where it takes queries to know whether it happened.
    pub fn has_subscribers<E: Event>(&self) -> bool {
        self.event_store().is_some_and(|store| store.has_subscribers(E::NAME))
    }
}

/// The subscribers of each event.
struct Subscriptions {
    by_event: HashMap<&'static str, Vec<Subscription>>,
    clock: Clock,
}

/// A subscriber. The reference is weak to avoid a cycle: the dispatcher owns the subscribers and the database, and the
/// database owns the subscriptions.
struct Subscription {
    name: &'static str,
    subscriber: Weak<dyn Subscriber>,
}

impl Subscriptions {
    fn new(subscribers: &[Arc<dyn Subscriber>], clock: Clock) -> Self {
        let mut by_event: HashMap<_, Vec<_>> = HashMap::new();
        for subscriber in subscribers {
            for event in subscriber.events() {
                let subscription = Subscription { name: subscriber.name(), subscriber: Arc::downgrade(subscriber) };
                by_event.entry(event).or_default().push(subscription);
            }
        }
        Self { by_event, clock }
    }
}

#[async_trait]
impl EventStore for Subscriptions {
    fn has_subscribers(&self, name: &str) -> bool {
        self.by_event.contains_key(name)
    }

    async fn store(&self, tx: &Tx, new: NewEvent<'_>) -> Result<bool, DbErr> {
        let mut subscribers = Vec::new();
        for Subscription { name, subscriber } in self.by_event.get(new.name).into_iter().flatten() {
            if let Some(subscriber) = subscriber.upgrade() {
                if !subscriber.wants(tx, &new.aggregate).await? {
                    continue;
                }
                subscriber.emitted(tx, &new.aggregate);
            }
            subscribers.push(*name);
        }
        if subscribers.is_empty() {
            return Ok(false);
        }
        let now = self.clock.now();
        let row = event::ActiveModel {
            id: NotSet,
            name: Set(new.name.to_owned()),
            aggregate: Set(new.aggregate.clone()),
            payload: Set((new.payload)()?),
            at: Set(now),
        };
        if tx.get_database_backend() == DbBackend::Sqlite {
            // The id is not asked for, so that nothing waits for these statements.
            let conn = &tx.deferred();
            db::insert_only(conn, row).await?;
            for subscriber in subscribers {
                db::execute(conn, DELIVERY, [subscriber.into(), new.aggregate.as_str().into(), now.into()]).await?;
            }
            return Ok(true);
        }
        let id = db::insert(tx, row).await?.id;
        let delivery = |subscriber: &str| event_delivery::ActiveModel {
            event_id: Set(id),
            subscriber: Set(subscriber.to_owned()),
            aggregate: Set(new.aggregate.clone()),
            attempts: Set(0),
            next_at: Set(Some(now)),
            last_error: Set(None),
        };
        let deliveries = subscribers.into_iter().map(delivery);
        event_delivery::Entity::insert_many(deliveries).exec_without_returning(tx).await?;
        Ok(true)
    }
}
