//! Events: only of committed transactions, in order, at least once, with database changes exactly once.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use guildhall_kernel::{
    Clock, Db, Error, Result, Timestamp,
    db::{self, Tx},
    event::{Dispatcher, Emitted, Event, Subscriber},
    testing::TestDb,
};
use sea_orm::{ActiveValue::NotSet, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryOrder, Set, Statement};
use sea_orm_migration::MigrationTrait;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;

use crate::things::{self, ActiveModel, Column, Entity};

/// A thing was created.
#[derive(Debug, Serialize, Deserialize)]
struct ThingCreated {
    aggregate: String,
    name: String,
}

impl Event for ThingCreated {
    const NAME: &'static str = "things.thing_created";

    fn aggregate(&self) -> String {
        self.aggregate.clone()
    }
}

/// An event without subscribers.
#[derive(Debug, Serialize, Deserialize)]
struct Unsubscribed {}

impl Event for Unsubscribed {
    const NAME: &'static str = "things.unsubscribed";

    fn aggregate(&self) -> String {
        "things".to_owned()
    }
}

/// Stores a thing for each event.
struct Copier {
    name: &'static str,
    /// The number of failures to come.
    failures: AtomicU32,
    /// The names of things for which it always fails.
    refused: Mutex<Vec<String>>,
    /// The number of calls.
    calls: AtomicU32,
    /// The aggregates of the events that this process has emitted.
    emitted: Arc<Mutex<Vec<String>>>,
    delay: Duration,
}

impl Copier {
    fn new(name: &'static str) -> Arc<Self> {
        let (failures, refused, calls) = (AtomicU32::new(0), Mutex::default(), AtomicU32::new(0));
        Arc::new(Self { name, failures, refused, calls, emitted: Arc::default(), delay: Duration::ZERO })
    }
}

#[async_trait]
impl Subscriber for Copier {
    fn name(&self) -> &'static str {
        self.name
    }

    fn events(&self) -> Vec<&'static str> {
        vec![ThingCreated::NAME]
    }

    fn emitted(&self, tx: &Tx, aggregate: &str) {
        let (emitted, aggregate) = (self.emitted.clone(), aggregate.to_owned());
        tx.after_commit(move || emitted.lock().unwrap().push(aggregate));
    }

    async fn handle(&self, tx: &Tx, event: &Emitted) -> Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let Some(created) = event.read::<ThingCreated>()? else { return Ok(()) };
        let name = format!("{}: {}", self.name, created.name);
        let thing = ActiveModel { id: NotSet, name: Set(name), parent_id: Set(None) };
        Entity::insert(thing).exec_without_returning(tx).await?;
        tokio::time::sleep(self.delay).await;
        if self.refused.lock().unwrap().contains(&created.name) {
            return Err(Error::internal("a permanent failure"));
        }
        let failures = self.failures.load(Ordering::SeqCst);
        if failures > 0 {
            self.failures.store(failures - 1, Ordering::SeqCst);
            return Err(Error::internal("a temporary failure"));
        }
        Ok(())
    }
}

/// The migrations of the kernel and of things.
fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    let people = guildhall_kernel::db::SqlMigration::new(
        "m20240101_000000_people",
        "CREATE TABLE people (id {id});",
        "DROP TABLE people;",
    );
    let mut all: Vec<Box<dyn MigrationTrait>> = vec![Box::new(people)];
    all.extend(guildhall_kernel::migrations(&guildhall_kernel::HostTables { users: "people" }));
    all.extend(things::migrations());
    all.sort_by_key(|migration| migration.name().to_owned());
    all
}

struct Setup {
    db: TestDb,
    offset: Arc<AtomicI64>,
    clock: Clock,
}

async fn setup() -> Setup {
    let db = TestDb::new(migrations).await;
    let offset = Arc::new(AtomicI64::new(0));
    let seconds = offset.clone();
    let clock =
        Clock::from_fn(move || Timestamp::now() + Duration::from_secs(seconds.load(Ordering::SeqCst).unsigned_abs()));
    Setup { db, offset, clock }
}

impl Setup {
    fn dispatcher(&self, subscribers: &[&Arc<Copier>]) -> Dispatcher {
        let subscribers = subscribers.iter().map(|copier| (*copier).clone() as Arc<dyn Subscriber>).collect();
        Dispatcher::new(self.db.handle(), self.clock.clone(), subscribers)
    }

    async fn names(&self) -> Vec<String> {
        let things = Entity::find().order_by_asc(Column::Id).all(self.db.conn()).await.unwrap();
        things.into_iter().map(|thing| thing.name).collect()
    }

    async fn rows(&self, table: &str) -> i64 {
        let count = Statement::from_string(self.db.backend(), format!("SELECT COUNT(*) FROM {table}"));
        self.db.conn().query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }
}

async fn emit(db: &Db, aggregate: &str, name: &str) {
    let event = &ThingCreated { aggregate: aggregate.to_owned(), name: name.to_owned() };
    db.write(|tx| async move { tx.emit(event).await }).await.unwrap();
}

#[tokio::test]
async fn each_subscriber_handles_events_of_committed_transactions_only() {
    let setup = setup().await;
    let (one, two) = (Copier::new("one"), Copier::new("two"));
    let dispatcher = setup.dispatcher(&[&one, &two]);
    emit(&setup.db, "a", "committed").await;
    let rolled_back = setup.db.write(|tx| async move {
        tx.emit(&ThingCreated { aggregate: "a".into(), name: "rolled back".into() }).await?;
        Err::<(), DbErr>(DbErr::Custom("no".into()))
    });
    assert!(rolled_back.await.is_err());
    assert_eq!(dispatcher.dispatch().await.unwrap(), 2);
    assert_eq!(setup.names().await, ["one: committed", "two: committed"]);
    assert_eq!(dispatcher.dispatch().await.unwrap(), 0);
    assert_eq!((setup.rows("kernel_event").await, setup.rows("kernel_event_delivery").await), (0, 0));
}

#[tokio::test]
async fn an_event_without_subscribers_executes_no_statements() {
    let setup = setup().await;
    let _dispatcher = setup.dispatcher(&[&Copier::new("one")]);
    let before = setup.db.statements();
    setup.db.write(|tx| async move { tx.emit(&Unsubscribed {}).await }).await.unwrap();
    let with_event = setup.db.statements() - before;
    let before = setup.db.statements();
    setup.db.write(|_| async move { Ok::<_, DbErr>(()) }).await.unwrap();
    assert_eq!(with_event, setup.db.statements() - before);
    assert_eq!(setup.rows("kernel_event").await, 0);
}

#[tokio::test]
async fn changes_of_a_subscriber_that_fails_and_retries_are_stored_once() {
    let setup = setup().await;
    let copier = Copier::new("one");
    copier.failures.store(2, Ordering::SeqCst);
    let dispatcher = setup.dispatcher(&[&copier]);
    emit(&setup.db, "a", "x").await;
    assert_eq!(dispatcher.dispatch().await.unwrap(), 0);
    assert!(setup.names().await.is_empty(), "the transaction was rolled back");
    assert_eq!(dispatcher.dispatch().await.unwrap(), 0);
    assert_eq!(copier.calls.load(Ordering::SeqCst), 1, "the next attempt is delayed");
    for _ in 0..2 {
        setup.offset.fetch_add(10, Ordering::SeqCst);
        dispatcher.dispatch().await.unwrap();
    }
    assert_eq!(copier.calls.load(Ordering::SeqCst), 3);
    assert_eq!(setup.names().await, ["one: x"]);
}

#[tokio::test]
async fn events_are_handled_in_order_per_aggregate() {
    let setup = setup().await;
    let copier = Copier::new("one");
    copier.failures.store(1, Ordering::SeqCst);
    let dispatcher = setup.dispatcher(&[&copier]);
    for (aggregate, name) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("b", "b2")] {
        emit(&setup.db, aggregate, name).await;
    }
    assert_eq!(dispatcher.dispatch().await.unwrap(), 2);
    assert_eq!(setup.names().await, ["one: b1", "one: b2"], "aggregate a waits for its first event");
    setup.offset.fetch_add(10, Ordering::SeqCst);
    assert_eq!(dispatcher.dispatch().await.unwrap(), 3);
    assert_eq!(setup.names().await[2..], ["one: a1", "one: a2", "one: a3"]);
}

#[tokio::test]
async fn the_work_for_an_event_does_not_depend_on_how_many_wait_for_the_same_aggregate() {
    let setup = setup().await;
    let dispatcher = setup.dispatcher(&[&Copier::new("one")]);
    let dispatch = async |aggregate: &dyn Fn(i64) -> String| {
        for number in 0..150 {
            let aggregate = aggregate(number);
            emit(&setup.db, &aggregate, &format!("{aggregate} {number}")).await;
        }
        let before = setup.db.statements();
        assert_eq!(dispatcher.dispatch().await.unwrap(), 150);
        setup.db.statements() - before
    };
    let of_many = dispatch(&|number| number.to_string()).await;
    let of_one = dispatch(&|_| "a".to_owned()).await;
    assert!(of_one <= of_many, "{of_one} statements instead of {of_many}");
}

#[tokio::test]
async fn events_behind_one_that_failed_are_not_due_before_it_is_retried() {
    let setup = setup().await;
    let copier = Copier::new("one");
    copier.failures.store(1, Ordering::SeqCst);
    let dispatcher = setup.dispatcher(&[&copier]);
    let due = async || {
        let due = "SELECT COUNT(*) FROM kernel_event_delivery WHERE next_at <= $1";
        db::scalar::<i64>(setup.db.conn(), due, [setup.clock.now().into()]).await.unwrap()
    };
    for number in 0..150 {
        emit(&setup.db, "a", &number.to_string()).await;
    }
    assert_eq!((due().await, dispatcher.dispatch().await.unwrap(), due().await), (Some(150), 0, Some(0)));
    emit(&setup.db, "a", "150").await;
    assert_eq!((due().await, dispatcher.dispatch().await.unwrap(), due().await), (Some(1), 0, Some(0)));
    setup.offset.fetch_add(10, Ordering::SeqCst);
    assert_eq!(dispatcher.dispatch().await.unwrap(), 151);
    let expected: Vec<String> = (0..=150).map(|number| format!("one: {number}")).collect();
    assert_eq!(setup.names().await, expected);
}

#[tokio::test]
async fn a_permanently_failed_event_is_counted_and_does_not_block_later_ones() {
    let setup = setup().await;
    let copier = Copier::new("one");
    copier.refused.lock().unwrap().push("bad".to_owned());
    let dispatcher = setup.dispatcher(&[&copier]);
    emit(&setup.db, "a", "bad").await;
    emit(&setup.db, "a", "good").await;
    for _ in 0..20 {
        dispatcher.dispatch().await.unwrap();
        setup.offset.fetch_add(3600, Ordering::SeqCst);
    }
    assert_eq!(dispatcher.failed().await.unwrap(), 1);
    dispatcher.dispatch().await.unwrap();
    assert_eq!(setup.names().await, ["one: good"]);
    copier.refused.lock().unwrap().clear();
    assert_eq!(dispatcher.retry_failed().await.unwrap(), 1);
    assert_eq!(dispatcher.dispatch().await.unwrap(), 1);
    assert_eq!(setup.names().await, ["one: good", "one: bad"]);
    assert_eq!(dispatcher.failed().await.unwrap(), 0);
}

#[tokio::test]
async fn an_event_of_an_unknown_subscriber_fails_and_does_not_block_others() {
    let setup = setup().await;
    let (removed, current) = (Copier::new("removed"), Copier::new("current"));
    drop(setup.dispatcher(&[&removed, &current]));
    emit(&setup.db, "a", "x").await;
    let dispatcher = setup.dispatcher(&[&current]);
    assert_eq!(dispatcher.dispatch().await.unwrap(), 1);
    assert_eq!(setup.names().await, ["current: x"]);
    assert_eq!(dispatcher.failed().await.unwrap(), 1);
}

#[tokio::test]
async fn an_event_is_handled_again_after_a_crash() {
    let setup = setup().await;
    let slow = Arc::new(Copier { delay: Duration::from_secs(60), ..Arc::into_inner(Copier::new("one")).unwrap() });
    let crashing = setup.dispatcher(&[&slow]);
    emit(&setup.db, "a", "x").await;
    assert!(tokio::time::timeout(Duration::from_millis(200), crashing.dispatch()).await.is_err());
    let dispatcher = setup.dispatcher(&[&Copier::new("one")]);
    assert_eq!(dispatcher.dispatch().await.unwrap(), 1);
    assert_eq!(setup.names().await, ["one: x"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_several_nodes_handles_an_event() {
    let setup = setup().await;
    let copiers = [Copier::new("one"), Copier::new("one"), Copier::new("one")];
    let dispatchers: Vec<Dispatcher> = copiers.iter().map(|copier| setup.dispatcher(&[copier])).collect();
    for number in 0..20 {
        emit(&setup.db, &format!("{}", number % 4), &format!("{number}")).await;
    }
    let nodes = dispatchers.into_iter().map(|node| tokio::spawn(async move { node.dispatch().await }));
    let mut handled = 0;
    for node in nodes.collect::<Vec<_>>() {
        handled += node.await.unwrap().unwrap();
    }
    assert_eq!((handled, setup.names().await.len()), (20, 20));
}

#[tokio::test]
async fn a_commit_wakes_the_dispatcher_and_a_rollback_does_not() {
    let setup = setup().await;
    let _dispatcher = setup.dispatcher(&[&Copier::new("one")]);
    let mut stored_work = setup.db.stored_work();
    let rolled_back = setup.db.write(|tx| async move {
        tx.emit(&ThingCreated { aggregate: "a".into(), name: "rolled back".into() }).await?;
        Err::<(), DbErr>(DbErr::Custom("no".into()))
    });
    assert!(rolled_back.await.is_err());
    assert!(!stored_work.has_changed().unwrap());
    emit(&setup.db, "a", "x").await;
    stored_work.changed().await.unwrap();
}

#[tokio::test]
async fn a_process_without_a_running_dispatcher_notifies_others_of_its_events() {
    let setup = setup().await;
    if setup.db.backend() != DbBackend::Postgres {
        return;
    }
    let _dispatcher = setup.dispatcher(&[&Copier::new("one")]);
    let mut listener = PgListener::connect(setup.db.url()).await.unwrap();
    listener.listen("guildhall_events").await.unwrap();
    emit(&setup.db, "a", "x").await;
    let notification = tokio::time::timeout(Duration::from_secs(10), listener.recv()).await;
    assert_eq!(notification.unwrap().unwrap().channel(), "guildhall_events");
}

#[tokio::test]
async fn a_process_that_dispatches_its_events_does_not_notify_others() {
    let setup = setup().await;
    if setup.db.backend() != DbBackend::Postgres {
        return;
    }
    let dispatcher = setup.dispatcher(&[&Copier::new("one")]);
    tokio::spawn(async move { dispatcher.dispatch_forever().await });
    let mut listener = PgListener::connect(setup.db.url()).await.unwrap();
    listener.listen("guildhall_events").await.unwrap();
    emit(&setup.db, "a", "x").await;
    while setup.names().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(tokio::time::timeout(Duration::from_millis(200), listener.recv()).await.is_err());
}

#[tokio::test]
async fn a_subscriber_learns_of_a_committed_event_before_it_is_dispatched() {
    let setup = setup().await;
    let copier = Copier::new("one");
    let _dispatcher = setup.dispatcher(&[&copier]);
    let rolled_back = setup.db.write(|tx| async move {
        tx.emit(&ThingCreated { aggregate: "b".to_owned(), name: "y".to_owned() }).await?;
        Err::<(), DbErr>(DbErr::Custom("no".into()))
    });
    assert!(rolled_back.await.is_err());
    emit(&setup.db, "a", "x").await;
    assert_eq!(
        (copier.emitted.lock().unwrap().as_slice(), copier.calls.load(Ordering::SeqCst)),
        (&["a".to_owned()][..], 0)
    );
}

#[tokio::test]
async fn many_failing_events_do_not_delay_those_behind_them() {
    let setup = setup().await;
    let copier = Copier::new("one");
    copier.refused.lock().unwrap().push("bad".to_owned());
    let dispatcher = setup.dispatcher(&[&copier]);
    for aggregate in 0..100 {
        emit(&setup.db, &aggregate.to_string(), "bad").await;
    }
    emit(&setup.db, "behind", "good").await;
    assert_eq!(dispatcher.dispatch().await.unwrap(), 1);
    assert_eq!(setup.names().await, ["one: good"]);
}
