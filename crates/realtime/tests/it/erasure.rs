//! Erasing the content of events, and deleting streams.

use std::sync::Arc;

use guildhall_kernel::{Auth, Caller, Clock, Db, Roles, UserId, UserRemoval};
use guildhall_realtime::{
    About, Delivery, Head, Next, OwnStream, Position, Removal, Seq, Settings, SingleProcess, Start, StreamName,
    Streams, Subscription,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::{Client, Harness, harness, room};

/// Follows a stream; the epoch is that of the stream.
async fn follow(harness: &Harness, stream: &StreamName, position: Position) -> (Subscription, Start, Head) {
    let caller = Caller::new(UserId(5), Roles::default());
    let started = harness.streams.subscribe(&caller, stream, position, &Arc::new(Notify::new())).await.unwrap();
    (started.subscription, started.start, started.head)
}

fn after(seq: Seq) -> Position {
    Position { after: Some(seq), epoch: None }
}

/// What a subscriber gets now.
async fn bodies(harness: &Harness, subscription: &mut Subscription) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        match subscription.poll(64) {
            Next::Deliver(deliveries) => all.extend(deliveries.into_iter().filter_map(|delivery| match delivery {
                Delivery::Frame(frame) => Some(serde_json::from_str(frame.body()).unwrap()),
                _ => None,
            })),
            Next::Read(after) => {
                let page = harness.streams.read(&subscription.stream().clone(), after).await.unwrap();
                subscription.feed(page);
            }
            Next::Idle | Next::Ended => return all,
        }
    }
}

/// What a subscriber gets who resumes from the beginning.
async fn replay(harness: &Harness, stream: &StreamName) -> Vec<Value> {
    let (mut subscription, ..) = follow(harness, stream, after(0)).await;
    bodies(harness, &mut subscription).await
}

fn message(text: &str) -> Value {
    json!({ "type": "message", "text": text })
}

fn hidden() -> Value {
    json!({ "type": "hidden" })
}

/// Appends a message with a number of its own in room 7.
async fn say(harness: &Harness, stream: &StreamName, no: i64, text: &str) -> Seq {
    let (streams, event) = (&harness.streams, &message(text));
    let append = |tx| async move { streams.append_about(&tx, stream, event, About { subject: room(7), no }).await };
    harness.db.write(append).await.unwrap()
}

async fn erase(harness: &Harness, first: i64, last: i64) {
    let streams = &harness.streams;
    harness.db.write(|tx| async move { streams.erase(&tx, &room(7), first..=last).await }).await.unwrap();
}

async fn delete(harness: &Harness, streams: &Streams, stream: &StreamName) {
    harness.db.write(|tx| async move { streams.delete(&tx, [stream.clone()]).await }).await.unwrap();
}

/// The streams as another process sees them. Nothing is published here.
fn other_process(harness: &Harness) -> Streams {
    let (db, auth) = (Db::clone(&harness.db), Auth::new(harness.auth.clone()));
    Streams::new(db, Clock::system(), Settings::default(), auth, SingleProcess, vec![harness.rooms.clone() as _])
}

#[tokio::test]
async fn erased_content_is_not_sent_again_in_any_stream_and_its_number_stays() {
    let harness = harness().await;
    let own = OwnStream::of(UserId(5));
    for stream in [&room(7), &own] {
        for (no, text) in [(1, "first"), (2, "second"), (3, "third")] {
            say(&harness, stream, no, text).await;
        }
    }
    erase(&harness, 1, 2).await;
    for stream in [&room(7), &own] {
        assert_eq!(replay(&harness, stream).await, [hidden(), hidden(), message("third")], "{stream}");
    }
    let left = harness.db.query_texts("SELECT body FROM realtime_event WHERE body LIKE '%first%'").await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn erased_content_is_not_sent_again_from_memory() {
    let harness = harness().await;
    // Somebody follows, so that the process has the events in memory.
    let (mut other, ..) = follow(&harness, &room(7), Position::default()).await;
    say(&harness, &room(7), 1, "secret").await;
    erase(&harness, 1, 1).await;
    harness.append(&room(7), message("public")).await;
    assert_eq!(replay(&harness, &room(7)).await, [hidden(), message("public")]);
    assert_eq!(bodies(&harness, &mut other).await.len(), 2);
}

#[tokio::test]
async fn content_is_erased_in_one_stream_only() {
    let harness = harness().await;
    let own = OwnStream::of(UserId(5));
    say(&harness, &own, 1, "first").await;
    say(&harness, &room(7), 1, "first").await;
    let (streams, stream) = (&harness.streams, &own);
    harness.db.write(|tx| async move { streams.erase_in(&tx, stream, &room(7), 1..=1).await }).await.unwrap();
    assert_eq!(replay(&harness, &own).await, [hidden()]);
    assert_eq!(replay(&harness, &room(7)).await, [message("first")]);
}

#[tokio::test]
async fn content_is_erased_only_with_the_operation() {
    let harness = harness().await;
    say(&harness, &room(7), 1, "first").await;
    let streams = &harness.streams;
    let failed = harness.db.write(|tx| async move {
        streams.erase(&tx, &room(7), 1..=1).await?;
        streams.delete(&tx, [room(7)]).await?;
        Err::<(), _>(guildhall_kernel::Error::field("name", "Rolled back."))
    });
    assert!(failed.await.is_err());
    assert_eq!(replay(&harness, &room(7)).await, [message("first")]);
}

#[tokio::test]
async fn the_subscriptions_of_a_deleted_stream_end_after_its_last_event() {
    let harness = harness().await;
    let (mut subscription, ..) = follow(&harness, &room(7), Position::default()).await;
    harness.append(&room(7), message("last")).await;
    delete(&harness, &harness.streams, &room(7)).await;
    assert_eq!(bodies(&harness, &mut subscription).await, [message("last")]);
    assert!(matches!(subscription.poll(64), Next::Ended) && subscription.is_closed());
    assert_eq!(harness.db.count_rows("realtime_event").await, 0);
    assert_eq!(harness.db.count_rows("realtime_stream").await, 0);
}

#[tokio::test]
async fn a_deleted_stream_begins_anew_with_another_epoch() {
    let harness = harness().await;
    for _ in 0..3 {
        harness.append(&room(7), message("old")).await;
    }
    let (mut earlier, _, head) = follow(&harness, &room(7), after(0)).await;
    delete(&harness, &harness.streams, &room(7)).await;
    let (mut between, _, empty) = follow(&harness, &room(7), Position::default()).await;
    for number in 1..=4 {
        assert_eq!(harness.append(&room(7), message("new")).await, number);
    }
    let resumed = Position { after: Some(3), epoch: Some(head.epoch) };
    assert_eq!(follow(&harness, &room(7), resumed).await.1, Start::Gap);
    let resumed = Position { after: Some(0), epoch: Some(empty.epoch) };
    assert_eq!(follow(&harness, &room(7), resumed).await.1, Start::Recovered);
    assert_eq!(bodies(&harness, &mut between).await.len(), 4);
    assert!(bodies(&harness, &mut earlier).await.is_empty(), "a subscription of the deleted stream");
    drop(earlier);
    harness.append(&room(7), message("new")).await;
    assert_eq!(bodies(&harness, &mut between).await.len(), 1, "the end of others changes nothing");
}

#[tokio::test]
async fn a_lost_notice_of_a_deletion_is_found_by_comparison() {
    let harness = harness().await;
    harness.append(&room(7), message("old")).await;
    let (mut subscription, ..) = follow(&harness, &room(7), Position::default()).await;
    let (mut unborn, ..) = follow(&harness, &room(8), Position::default()).await;
    delete(&harness, &other_process(&harness), &room(7)).await;
    assert!(matches!(subscription.poll(64), Next::Idle));
    harness.streams.compare_now().await.unwrap();
    assert!(matches!(subscription.poll(64), Next::Ended));
    assert!(matches!(unborn.poll(64), Next::Idle), "a stream without events was not deleted");
}

#[tokio::test]
async fn what_is_about_a_deleted_stream_is_erased_elsewhere() {
    let harness = harness().await;
    let own = OwnStream::of(UserId(5));
    say(&harness, &own, 1, "of room 7").await;
    harness.append(&own, message("other")).await;
    delete(&harness, &harness.streams, &room(7)).await;
    assert_eq!(replay(&harness, &own).await, [hidden(), message("other")]);
}

#[tokio::test]
async fn nothing_is_left_of_the_stream_of_a_removed_user() {
    let harness = harness().await;
    let (own, other) = (OwnStream::of(UserId(6)), OwnStream::of(UserId(5)));
    harness.append(&own, message("private")).await;
    let (streams, event) = (&harness.streams, &message("Six wrote to you."));
    let about = || About { subject: OwnStream::of(UserId(6)), no: 1 };
    let append = |tx| {
        let other = &other;
        async move { streams.append_about(&tx, other, event, about()).await }
    };
    harness.db.write(append).await.unwrap();
    let removal = &Removal::new(harness.streams.clone());
    harness.db.write(|tx| async move { removal.release(&tx, UserId(6), None).await }).await.unwrap();
    assert_eq!(harness.db.query_texts("SELECT name FROM realtime_stream").await, ["user/5"]);
    assert_eq!(replay(&harness, &other).await, [hidden()]);
}

#[tokio::test]
async fn sockets_learn_that_their_stream_was_deleted() {
    let harness = harness().await;
    let address = harness.serve().await;
    harness.append(&room(7), message("old")).await;
    let mut single = Client::connect(address, "/rooms/7/?token=5").await;
    single.next_of("hello").await;
    let mut many = Client::connect(address, "/ws/?token=5").await;
    many.next_of("hello").await;
    many.send(json!({ "type": "subscribe", "stream": "room/7" })).await;
    many.next_of("subscribed").await;
    delete(&harness, &harness.streams, &room(7)).await;
    assert_eq!(many.next().await, json!({ "type": "unsubscribed", "stream": "room/7" }));
    assert_eq!(single.close().await.0, 4410);
}
