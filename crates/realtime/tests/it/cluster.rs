//! Two processes on one database: on PostgreSQL over its notifications, on SQLite over a bus of the test.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use guildhall_kernel::{Auth, Caller, Clock, Db, Roles, SessionId, UserId, db, testing::TestDb};
use guildhall_realtime::{
    Arrival, Arrive, Bus, Notice, OwnStream, Position, PostgresBus, Settings, StreamHandler, StreamName, Streams,
};
use sea_orm::{ConnectionTrait, DbBackend};
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    endings::Halls,
    harness::{Client, Numbers, Rooms, all_migrations, room, serve},
};

/// A bus that the test can disconnect.
#[derive(Clone, Default)]
struct TestBus {
    queues: Arc<Mutex<Vec<mpsc::UnboundedSender<Notice>>>>,
    is_down: Arc<AtomicBool>,
    changed: Arc<Notify>,
}

/// The end of a process.
struct End {
    bus: TestBus,
    index: usize,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Notice>>,
}

impl TestBus {
    fn end(&self) -> End {
        let (sender, queue) = mpsc::unbounded_channel();
        let mut queues = self.queues.lock().unwrap();
        queues.push(sender);
        End { bus: self.clone(), index: queues.len() - 1, queue: tokio::sync::Mutex::new(queue) }
    }

    fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
        self.changed.notify_waiters();
    }
}

#[async_trait]
impl Bus for End {
    fn send(&self, notice: Notice) {
        if self.bus.is_down.load(Ordering::SeqCst) {
            return;
        }
        for (index, queue) in self.bus.queues.lock().unwrap().iter().enumerate() {
            if index != self.index {
                let _ = queue.send(notice.clone());
            }
        }
    }

    async fn run(&self, arrive: Arrive<'_>) {
        let mut queue = self.queue.lock().await;
        loop {
            tokio::select! {
                () = self.bus.changed.notified() => {
                    let is_down = self.bus.is_down.load(Ordering::SeqCst);
                    arrive(if is_down { Arrival::Disconnected } else { Arrival::Connected });
                }
                Some(notice) = queue.recv() => arrive(Arrival::Notice(notice)),
            }
        }
    }
}

struct Process {
    db: Db,
    streams: Streams,
    running: JoinHandle<()>,
    address: SocketAddr,
}

struct Cluster {
    _db: TestDb,
    auth: Numbers,
    processes: [Process; 2],
}

impl Cluster {
    /// Two processes with the usual bus of their database.
    async fn new() -> Self {
        let bus = TestBus::default();
        Self::with(|db| match PostgresBus::new(db.clone()).unwrap() {
            Some(bus) => Arc::new(bus),
            None => Arc::new(bus.end()),
        })
        .await
    }

    async fn with(bus: impl Fn(&Db) -> Arc<dyn Bus>) -> Self {
        let db = TestDb::new(all_migrations).await;
        let clock = Clock::system();
        let auth = Numbers::new(clock.clone());
        let process = async || {
            let db = Db::connect(db.url(), 4).await.unwrap();
            let handlers: Vec<Arc<dyn StreamHandler>> =
                vec![Arc::new(Rooms::default()), Arc::new(OwnStream), Arc::new(Halls::default())];
            let auth = Auth::new(auth.clone());
            let streams = Streams::new(db.clone(), clock.clone(), Settings::default(), auth, bus(&db), handlers);
            let running = streams.clone();
            let running = tokio::spawn(async move { running.run().await });
            let address = serve(&streams).await;
            Process { db, streams, running, address }
        };
        let processes = [process().await, process().await];
        Self { _db: db, auth, processes }
    }

    /// Waits until the processes hear of each other.
    async fn connected(self) -> Self {
        let mut client = self.processes[1].follow(999, 19).await;
        let started = Instant::now();
        loop {
            self.processes[0].streams.publish_transient(&room(999), &json!({ "type": "typing" }), None);
            if timeout(Duration::from_millis(50), client.next_of("typing")).await.is_ok() {
                return self;
            }
            assert!(started.elapsed() < Duration::from_secs(10), "the processes are not connected");
        }
    }
}

impl Process {
    async fn append(&self, stream: &StreamName, event: Value) {
        let event = &event;
        self.db.write(|tx| async move { self.streams.append(&tx, stream, event).await }).await.unwrap();
    }

    /// A socket of a user that follows a room over this process.
    async fn follow(&self, id: i64, user: i64) -> Client {
        let mut client = Client::connect(self.address, &format!("/rooms/{id}/?token={user}.{user}")).await;
        client.next_of("hello").await;
        client
    }
}

#[tokio::test]
async fn events_reach_the_sockets_of_all_processes_in_order_and_at_once() {
    let cluster = Cluster::new().await.connected().await;
    let [first, second] = &cluster.processes;
    let mut clients = [first.follow(7, 1).await, second.follow(7, 2).await];
    let started = Instant::now();
    for n in 0..50 {
        cluster.processes[n % 2].append(&room(7), json!({ "type": "message", "n": n })).await;
    }
    for client in &mut clients {
        for n in 0..50 {
            let frame = client.next().await;
            assert_eq!((&frame["n"], &frame["seq"]), (&json!(n), &json!(n + 1)));
        }
    }
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}: not by a comparison", started.elapsed());
}

#[tokio::test]
async fn what_is_not_stored_reaches_the_others_on_all_processes() {
    let cluster = Cluster::new().await.connected().await;
    let [first, second] = &cluster.processes;
    let (mut other, mut typing) = (second.follow(7, 1).await, second.follow(7, 2).await);
    first.streams.publish_transient(&room(7), &json!({ "type": "typing", "user": 2 }), Some(UserId(2)));
    assert_eq!(other.next().await["type"], "typing");
    first.append(&room(7), json!({ "type": "message" })).await;
    assert_eq!(typing.next().await["type"], "message");
}

#[tokio::test]
async fn what_a_process_knows_of_itself_reaches_its_own_sockets_only() {
    let cluster = Cluster::new().await.connected().await;
    let [first, second] = &cluster.processes;
    let (mut own, mut other) = (first.follow(7, 1).await, second.follow(7, 2).await);
    first.streams.publish_transient_here(&room(7), &json!({ "type": "presence" }), None);
    first.streams.publish_transient(&room(7), &json!({ "type": "typing" }), None);
    assert_eq!(own.next().await["type"], "presence");
    assert_eq!(other.next().await["type"], "typing");
}

#[tokio::test]
async fn each_process_knows_who_follows_a_stream_over_the_others() {
    let cluster = Cluster::new().await.connected().await;
    let [first, second] = &cluster.processes;
    let (hall, user, wake) = (StreamName::new("hall", 1), UserId(5), Arc::new(Notify::new()));
    let caller = Caller::new(user, Roles::default());
    let becomes = async |expected| {
        let started = Instant::now();
        while first.streams.is_followed_by(&hall, user) != expected {
            assert!(started.elapsed() < Duration::from_secs(5), "it does not become {expected}");
            sleep(Duration::from_millis(20)).await;
        }
    };
    let follow = async |process: &Process| {
        process.streams.subscribe(&caller, &hall, Position::default(), &wake).await.unwrap().subscription
    };
    let one = follow(second).await;
    let two = follow(second).await;
    becomes(true).await;
    assert!(!first.streams.is_followed_here_by(&hall, user));
    drop(one);
    sleep(Duration::from_millis(700)).await;
    assert!(first.streams.is_followed_by(&hall, user), "another subscription is left");
    drop(two);
    becomes(false).await;
}

#[tokio::test]
async fn a_process_that_stops_reports_that_nobody_follows_a_stream_over_it() {
    let cluster = Cluster::new().await.connected().await;
    let [first, second] = &cluster.processes;
    let (hall, wake) = (StreamName::new("hall", 1), Arc::new(Notify::new()));
    let caller = Caller::new(UserId(5), Roles::default());
    let started = second.streams.subscribe(&caller, &hall, Position::default(), &wake).await.unwrap();
    let is_followed = async |expected| {
        let begun = Instant::now();
        while first.streams.is_followed_by(&hall, caller.user) != expected {
            assert!(begun.elapsed() < Duration::from_secs(5), "it does not become {expected}");
            sleep(Duration::from_millis(20)).await;
        }
    };
    is_followed(true).await;
    // Nothing else reports it.
    second.running.abort();
    drop(started);
    second.streams.stop().await;
    is_followed(false).await;
}

#[tokio::test]
async fn a_session_that_ends_is_disconnected_from_all_processes_within_a_second() {
    let cluster = Cluster::new().await.connected().await;
    let [first, second] = &cluster.processes;
    let mut clients = [first.follow(7, 5).await, second.follow(7, 5).await];
    let mut other = second.follow(7, 6).await;
    cluster.auth.ended.lock().unwrap().push(SessionId(5));
    first.streams.check_user(UserId(5)).await.unwrap();
    for client in &mut clients {
        let close = timeout(Duration::from_secs(1), client.close()).await.unwrap();
        assert_eq!(close, (4401, "revoked".to_owned()));
    }
    other.send(json!({ "type": "ping" })).await;
    assert_eq!(other.next().await["type"], "pong");
}

#[tokio::test]
async fn nobody_gets_an_event_after_their_removal_by_another_process() {
    let cluster = Cluster::new().await.connected().await;
    let [first, second] = &cluster.processes;
    let (mut removed, mut other) = (second.follow(7, 5).await, second.follow(7, 6).await);
    let (stream, event) = (&room(7), &json!({ "type": "member_removed" }));
    let append = |tx| async move { first.streams.append_removal(&tx, stream, event, UserId(5)).await };
    first.db.write(append).await.unwrap();
    first.append(stream, json!({ "type": "message" })).await;
    assert_eq!(removed.next().await["type"], "member_removed");
    assert_eq!(removed.next().await["type"], "bye");
    assert_eq!((other.next().await["seq"].as_i64(), other.next().await["seq"].as_i64()), (Some(1), Some(2)));
}

#[tokio::test]
async fn without_the_bus_events_and_ended_sessions_are_found_within_two_seconds() {
    let bus = TestBus::default();
    let cluster = Cluster::with(|_| Arc::new(bus.end())).await.connected().await;
    let [first, second] = &cluster.processes;
    let (mut client, mut ended) = (second.follow(7, 1).await, second.follow(7, 5).await);
    bus.set_down(true);
    first.append(&room(7), json!({ "type": "message" })).await;
    let frame = timeout(Duration::from_secs(2), client.next()).await.unwrap();
    assert_eq!((&frame["seq"], second.streams.is_connected()), (&json!(1), false));
    cluster.auth.ended.lock().unwrap().push(SessionId(5));
    first.streams.check_user(UserId(5)).await.unwrap();
    let close = timeout(Duration::from_secs(2), ended.close()).await.unwrap();
    assert_eq!(close.0, 4401);
    // What was lost is found when the bus is back.
    first.append(&room(7), json!({ "type": "message" })).await;
    bus.set_down(false);
    let frame = timeout(Duration::from_millis(500), client.next()).await.unwrap();
    assert_eq!((&frame["seq"], second.streams.is_connected()), (&json!(2), true));
}

/// A bus that keeps reporting that notices may have been lost.
struct Unreliable;

#[async_trait]
impl Bus for Unreliable {
    fn send(&self, _: Notice) {}

    async fn run(&self, arrive: Arrive<'_>) {
        loop {
            arrive(Arrival::Connected);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn however_often_notices_may_have_been_lost_streams_are_compared_ten_times_a_second() {
    let cluster = Cluster::with(|_| Arc::new(Unreliable)).await;
    let process = &cluster.processes[0];
    let _client = process.follow(7, 1).await;
    let before = process.db.statements();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let statements = process.db.statements() - before;
    assert!((1..=8).contains(&statements), "{statements} statements");
}

#[tokio::test]
async fn a_connection_that_accepts_listen_but_passes_on_no_notification_is_not_connected() {
    let database = TestDb::new(all_migrations).await;
    if database.backend() != DbBackend::Postgres {
        return;
    }
    let can_connect = async || {
        let db = Db::connect(database.url(), 2).await.unwrap();
        let bus = PostgresBus::new(db.clone()).unwrap().unwrap();
        let (clock, auth) = (Clock::system(), Auth::new(Numbers::new(Clock::system())));
        Streams::new(db, clock, Settings::default(), auth, bus, Vec::new()).can_connect().await
    };
    assert!(can_connect().await);
    // As behind a pooler of transactions.
    let silence = "CREATE SCHEMA shadow; \
        CREATE FUNCTION shadow.pg_notify(text, text) RETURNS void LANGUAGE sql AS ''; \
        DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = shadow, public, pg_catalog', \
        current_database()); END $$";
    database.conn().execute_unprepared(silence).await.unwrap();
    assert!(!can_connect().await);
}

#[tokio::test]
async fn a_process_listens_again_after_postgresql_has_closed_the_connection() {
    let cluster = Cluster::new().await.connected().await;
    let [first, second] = &cluster.processes;
    if first.db.backend() != DbBackend::Postgres {
        return;
    }
    let mut client = second.follow(7, 1).await;
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(db::scalar::<i64>(first.db.conn(), terminate, []).await.unwrap(), Some(2));
    let started = Instant::now();
    for n in 1..=20 {
        first.append(&room(7), json!({ "type": "message" })).await;
        assert_eq!(client.next_of("message").await["seq"], n);
    }
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    let cluster = cluster.connected().await;
    assert!(cluster.processes.iter().all(|process| process.streams.is_connected()));
}
