use std::sync::Arc;

use guildhall_kernel::{Caller, Db, Error, Kind, Roles, UserId, db::Tx, job::Job, testing::TestDb};
use guildhall_realtime::{Delivery, GapReason, Next, Position, Settings, Start, Streams, Subscription, Version};
use sea_orm_migration::MigrationTrait;
use serde_json::json;
use tokio::sync::Notify;

use crate::harness::{Harness, all_migrations, harness, harness_with, room};

fn caller(id: i64) -> Caller {
    Caller::new(UserId(id), Roles::default())
}

async fn follow(harness: &Harness, after: Option<i64>) -> (Subscription, Start) {
    let position = Position { after, epoch: None };
    let started = harness.streams.subscribe(&caller(1), &room(7), position, &Arc::new(Notify::new())).await.unwrap();
    (started.subscription, started.start)
}

/// The numbers that a subscription returns now; a gap as its first number, negative.
async fn numbers(streams: &Streams, subscription: &mut Subscription) -> Vec<i64> {
    let mut numbers = Vec::new();
    loop {
        match subscription.poll(64) {
            Next::Deliver(deliveries) => numbers.extend(deliveries.into_iter().map(|delivery| match delivery {
                Delivery::Frame(frame) => frame.seq,
                Delivery::Gap { from, .. } => -from,
                Delivery::Transient(_) => 0,
            })),
            Next::Read(after) => {
                let page = streams.read(&room(7), after).await.unwrap();
                subscription.feed(page);
            }
            Next::Idle | Next::Ended => return numbers,
        }
    }
}

#[tokio::test]
async fn events_are_numbered_per_stream_from_one() {
    let harness = harness().await;
    assert_eq!(harness.append(&room(7), json!({})).await, 1);
    assert_eq!(harness.append(&room(8), json!({})).await, 1);
    assert_eq!(harness.append(&room(7), json!({})).await, 2);
}

#[tokio::test]
async fn a_transaction_that_rolls_back_takes_no_number_and_is_not_published() {
    let harness = harness().await;
    harness.append(&room(7), json!({})).await;
    let (mut subscription, _) = follow(&harness, None).await;
    let streams = &harness.streams;
    let failed = harness.db.write(|tx| async move {
        streams.append(&tx, &room(7), &json!({})).await?;
        Err::<(), _>(Error::new(Kind::Conflict, "test", "rolled back"))
    });
    assert!(failed.await.is_err());
    assert_eq!(numbers(streams, &mut subscription).await, [0_i64; 0]);
    assert_eq!(harness.append(&room(7), json!({})).await, 2);
    assert_eq!(numbers(streams, &mut subscription).await, [2]);
}

#[tokio::test]
async fn concurrent_appends_have_consecutive_numbers() {
    let harness = Arc::new(harness().await);
    let (mut subscription, _) = follow(&harness, None).await;
    let tasks: Vec<_> = (0..40)
        .map(|number| {
            let harness = harness.clone();
            tokio::spawn(async move { harness.append(&room(7), json!({ "number": number })).await })
        })
        .collect();
    let mut seqs = Vec::new();
    for task in tasks {
        seqs.push(task.await.unwrap());
    }
    seqs.sort_unstable();
    let expected: Vec<i64> = (1..=40).collect();
    assert_eq!(seqs, expected);
    assert_eq!(numbers(&harness.streams, &mut subscription).await, expected);
}

#[tokio::test]
async fn a_subscriber_resumes_where_it_left() {
    let harness = harness().await;
    for _ in 0..300 {
        harness.append(&room(7), json!({})).await;
    }
    let (mut subscription, start) = follow(&harness, Some(120)).await;
    assert_eq!(start, Start::Recovered);
    harness.append(&room(7), json!({})).await;
    assert_eq!(numbers(&harness.streams, &mut subscription).await, (121..=301).collect::<Vec<i64>>());

    let (mut live, start) = follow(&harness, None).await;
    assert_eq!((start, numbers(&harness.streams, &mut live).await), (Start::Live, Vec::new()));
}

#[tokio::test]
async fn a_subscriber_is_told_what_it_cannot_get() {
    let harness = harness().await;
    for _ in 0..510 {
        harness.append(&room(7), json!({})).await;
    }
    let (mut subscription, start) = follow(&harness, Some(1)).await;
    let Next::Deliver(deliveries) = subscription.poll(64) else { panic!("nothing to deliver") };
    let limit = matches!(deliveries[..], [Delivery::Gap { from: 2, to: 510, reason: GapReason::Limit }]);
    assert!(limit && start == Start::Gap, "{deliveries:?}");

    let (mut subscription, _) = follow(&harness, Some(7000)).await;
    let Next::Deliver(deliveries) = subscription.poll(64) else { panic!("nothing to deliver") };
    assert!(matches!(deliveries[..], [Delivery::Gap { reason: GapReason::Epoch, .. }]), "{deliveries:?}");

    // All are too old.
    harness.advance(31 * 24 * 3600);
    Job::run(&harness.streams).await.unwrap();
    let (mut subscription, _) = follow(&harness, Some(400)).await;
    assert_eq!(numbers(&harness.streams, &mut subscription).await, [-401]);
    assert_eq!(harness.db.count_rows("realtime_event").await, 0);
    assert_eq!(harness.append(&room(7), json!({})).await, 511);
    assert_eq!(numbers(&harness.streams, &mut subscription).await, [511]);
}

#[tokio::test]
async fn the_newest_events_of_each_stream_are_kept() {
    let harness = harness_with(Settings { keep_events: 3, ..Settings::default() }).await;
    for id in [7, 7, 7, 7, 7, 8, 8] {
        harness.append(&room(id), json!({})).await;
    }
    Job::run(&harness.streams).await.unwrap();
    assert_eq!(harness.db.count_rows("realtime_event").await, 3 + 2);
    let (mut subscription, _) = follow(&harness, Some(1)).await;
    assert_eq!(numbers(&harness.streams, &mut subscription).await, [-2, 3, 4, 5], "a gap, then what is kept");
}

#[tokio::test]
async fn nobody_resumes_from_a_number_of_before_a_restore() {
    let harness = harness().await;
    for _ in 0..3 {
        harness.append(&room(7), json!({})).await;
    }
    let wake = Arc::new(Notify::new());
    let started = harness.streams.subscribe(&caller(1), &room(7), Position::default(), &wake).await.unwrap();
    let position = Position { after: Some(2), epoch: Some(started.head.epoch) };
    let again = harness.streams.subscribe(&caller(1), &room(7), position, &wake).await.unwrap();
    assert_eq!(again.start, Start::Recovered);
    guildhall_realtime::begin_epoch(&harness.db, guildhall_kernel::Clock::system().now()).await.unwrap();
    let after = harness.streams.subscribe(&caller(1), &room(7), position, &wake).await.unwrap();
    assert_eq!(after.start, Start::Gap);
}

#[tokio::test]
async fn who_has_followed_a_stream_since_before_its_first_event_can_resume() {
    let harness = harness().await;
    let wake = Arc::new(Notify::new());
    let empty = harness.streams.subscribe(&caller(1), &room(7), Position::default(), &wake).await.unwrap();
    assert_eq!(empty.head.seq, 0);
    for _ in 0..3 {
        harness.append(&room(7), json!({})).await;
    }
    let position = Position { after: Some(2), epoch: Some(empty.head.epoch) };
    let again = harness.streams.subscribe(&caller(1), &room(7), position, &wake).await.unwrap();
    assert_eq!((again.start, again.head.seq), (Start::Recovered, 3));
}

#[tokio::test]
async fn who_has_followed_an_empty_stream_can_resume_after_the_deletion_of_another() {
    let harness = harness().await;
    let (streams, wake) = (&harness.streams, Arc::new(Notify::new()));
    let (one, two) = (caller(1), caller(2));
    let follow = async |caller: &Caller| streams.subscribe(caller, &room(7), Position::default(), &wake).await;
    let (empty, other) = tokio::join!(follow(&one), follow(&two));
    let epoch = empty.unwrap().head.epoch;
    assert_eq!(other.unwrap().head.epoch, epoch);
    harness.append(&room(8), json!({})).await;
    harness.db.write(|tx| async move { streams.delete(&tx, [room(8)]).await }).await.unwrap();
    assert_eq!(harness.append(&room(7), json!({})).await, 1);
    assert_eq!(harness.append(&room(7), json!({})).await, 2);
    let position = Position { after: Some(1), epoch: Some(epoch) };
    let mut again = streams.subscribe(&one, &room(7), position, &wake).await.unwrap();
    assert_eq!((again.start, again.head.epoch), (Start::Recovered, epoch));
    assert_eq!(numbers(streams, &mut again.subscription).await, [2]);
}

#[tokio::test]
async fn only_who_may_follow_a_stream_begins_it() {
    let harness = harness().await;
    let wake = Arc::new(Notify::new());
    assert!(harness.streams.subscribe(&caller(13), &room(7), Position::default(), &wake).await.is_err());
    assert_eq!(harness.db.count_rows("realtime_stream").await, 0);
    follow(&harness, None).await;
    assert_eq!(harness.db.count_rows("realtime_stream").await, 1);
}

#[tokio::test]
async fn nobody_resumes_in_a_stream_that_a_restored_database_did_not_have() {
    let harness = harness().await;
    let wake = Arc::new(Notify::new());
    let before = harness.streams.subscribe(&caller(1), &room(7), Position::default(), &wake).await.unwrap();
    // The events that were lost had the numbers 1 and 2, and others have them now.
    guildhall_realtime::begin_epoch(&harness.db, guildhall_kernel::Clock::system().now()).await.unwrap();
    for _ in 0..3 {
        harness.append(&room(7), json!({})).await;
    }
    let position = Position { after: Some(2), epoch: Some(before.head.epoch) };
    let mut after = harness.streams.subscribe(&caller(1), &room(7), position, &wake).await.unwrap();
    let Next::Deliver(deliveries) = after.subscription.poll(64) else { panic!("nothing to deliver") };
    let is_epoch = matches!(deliveries[..], [Delivery::Gap { from: 1, to: 3, reason: GapReason::Epoch }]);
    assert!(is_epoch && after.start == Start::Gap, "{deliveries:?}");
}

#[tokio::test]
async fn each_restore_begins_another_epoch() {
    let harness = harness().await;
    let wake = Arc::new(Notify::new());
    let epoch = async || {
        let started = harness.streams.subscribe(&caller(1), &room(7), Position::default(), &wake).await.unwrap();
        started.head.epoch
    };
    let now = guildhall_kernel::Clock::system().now();
    let mut epochs = vec![epoch().await];
    for _ in 0..2 {
        guildhall_realtime::begin_epoch(&harness.db, now).await.unwrap();
        epochs.push(epoch().await);
    }
    epochs.dedup();
    assert_eq!(epochs.len(), 3, "{epochs:?}");
}

#[tokio::test]
async fn a_stream_begins_when_somebody_who_may_follow_it_does() {
    let harness = harness().await;
    let streams = &harness.streams;
    let has_begun = || harness.db.write(|tx| async move { streams.has_begun(&tx, &room(7)).await });
    harness.rooms.has_first_event.store(true, std::sync::atomic::Ordering::SeqCst);
    let wake = Arc::new(Notify::new());
    assert!(harness.streams.subscribe(&caller(13), &room(7), Position::default(), &wake).await.is_err());
    assert!(!has_begun().await.unwrap());
    let (mut subscription, start) = follow(&harness, None).await;
    assert!(has_begun().await.unwrap());
    assert_eq!((start, numbers(&harness.streams, &mut subscription).await), (Start::Live, vec![1]));
    follow(&harness, None).await;
    assert_eq!(harness.append(&room(7), json!({})).await, 2, "it begins once");
}

#[tokio::test]
async fn a_lost_notice_is_found_by_comparison() {
    let harness = harness().await;
    harness.append(&room(7), json!({})).await;
    let (mut subscription, _) = follow(&harness, None).await;
    // As another process would: nothing is published here.
    let other = Streams::new(
        Db::clone(&harness.db),
        guildhall_kernel::Clock::system(),
        Settings::default(),
        guildhall_kernel::Auth::new(harness.auth.clone()),
        guildhall_realtime::SingleProcess,
        Vec::new(),
    );
    let append = |tx| {
        let other = other.clone();
        async move { other.append(&tx, &room(7), &json!({})).await }
    };
    harness.db.write(append).await.unwrap();
    assert_eq!(numbers(&harness.streams, &mut subscription).await, [0_i64; 0]);
    harness.streams.compare_now().await.unwrap();
    assert_eq!(numbers(&harness.streams, &mut subscription).await, [2]);
}

#[tokio::test]
async fn nobody_gets_an_event_after_their_removal() {
    let harness = harness().await;
    harness.append(&room(7), json!({})).await;
    let (mut subscription, _) = follow(&harness, None).await;
    harness.append(&room(7), json!({})).await;
    harness.append_removal(&room(7), UserId(2)).await;
    harness.append_removal(&room(7), UserId(1)).await;
    harness.append(&room(7), json!({})).await;
    assert_eq!(numbers(&harness.streams, &mut subscription).await, [2, 3, 4]);
    assert!(matches!(subscription.poll(64), Next::Ended));
    // Who may follow again also gets what has happened meanwhile.
    let (mut again, _) = follow(&harness, Some(3)).await;
    assert_eq!(numbers(&harness.streams, &mut again).await, [4, 5]);
}

fn migrations_before() -> Vec<Box<dyn MigrationTrait>> {
    all_migrations().into_iter().filter(|migration| !migration.name().ends_with("_realtime_followed")).collect()
}

#[tokio::test]
async fn events_from_before_streams_could_be_empty_are_kept() {
    let db = TestDb::new(migrations_before).await;
    let rows = "INSERT INTO realtime_stream (id, name, last_seq, created_at, epoch) VALUES (7, 'room/7', 2, 1, 3); \
        INSERT INTO realtime_event (stream_id, seq, body, at) VALUES (7, 1, '{}', 1), (7, 2, '{}', 1)";
    db.sql(rows).await.unwrap();
    db.migrate(all_migrations).await.unwrap();
    assert_eq!(db.count_rows("realtime_event").await, 2);
    db.sql("DELETE FROM realtime_stream WHERE last_seq = 2 AND epoch = 3").await.unwrap();
    assert_eq!(db.count_rows("realtime_event").await, 0, "events still belong to their streams");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_version_of_a_value_that_somebody_gets_is_the_newest() {
    let harness = harness().await;
    let (mut subscription, _) = follow(&harness, None).await;
    let streams = &harness.streams;
    let mut versions = Vec::new();
    for _ in 0..3 {
        let tx = |tx: Tx| async move { streams.lock(&tx, &room(7)).await };
        versions.push(harness.db.write(tx).await.unwrap());
        harness.append(&room(7), json!({})).await;
    }
    assert!(versions.is_sorted() && versions.iter().all(|version| *version > Version::default()), "{versions:?}");
    assert!(versions[0] < versions[1] && versions[1] < versions[2], "{versions:?}");
    assert_eq!(numbers(streams, &mut subscription).await, [1, 2, 3]);
    for (name, index) in [("a", 1), ("a", 2), ("b", 0), ("a", 0), ("a", 1)] {
        let version = versions[index];
        let publish = |tx: Tx| async move {
            streams.publish_value(&tx, &room(7), name, version, &json!({ "name": name, "version": index }))
        };
        harness.db.write(publish).await.unwrap();
    }
    let Next::Deliver(deliveries) = subscription.poll(64) else { panic!("nothing was published") };
    let bodies: Vec<serde_json::Value> = deliveries
        .iter()
        .map(|delivery| match delivery {
            Delivery::Transient(body) => serde_json::from_str(body).unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    // The first version of `a` was replaced before anybody read it.
    assert_eq!(bodies, [json!({ "name": "a", "version": 2 }), json!({ "name": "b", "version": 0 })]);
}

#[tokio::test]
async fn values_and_transient_events_that_nobody_reads_are_limited() {
    let harness = harness().await;
    let (mut subscription, _) = follow(&harness, None).await;
    let streams = &harness.streams;
    for index in 0..200 {
        let publish = |tx: Tx| async move {
            streams.publish_value(&tx, &room(7), index, Version(1, 0), &json!({}))?;
            streams.publish_value(&tx, &room(7), "last", Version(index, 0), &json!({ "index": index }))
        };
        harness.db.write(publish).await.unwrap();
        streams.publish_transient(&room(7), &json!({}), None);
    }
    // A new value takes the place of the oldest one.
    let publish =
        |tx: Tx| async move { streams.publish_value(&tx, &room(7), "new", Version(1, 0), &json!({ "new": 1 })) };
    harness.db.write(publish).await.unwrap();
    let Next::Deliver(deliveries) = subscription.poll(1000) else { panic!("nothing was published") };
    assert!(deliveries.len() <= 64, "{}", deliveries.len());
    let last =
        deliveries.iter().filter(|delivery| matches!(delivery, Delivery::Transient(body) if body.contains("199")));
    assert_eq!(last.count(), 1, "the newest version of a value waits");
    assert!(matches!(deliveries.last(), Some(Delivery::Transient(body)) if body.contains("new")), "{deliveries:?}");
}
