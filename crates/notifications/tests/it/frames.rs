use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use guildhall_kernel::UserRemoval;
use guildhall_notifications::{NotificationId, NotificationKind, Notifications, ReadAll};
use guildhall_realtime::{Delivery, Next, OwnStream, Position, Removal, Started, StreamHandler};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::{Harness, comment, happened, notifications, person};

/// What a socket of person 1 gets while something happens.
async fn received(harness: &Harness, run: impl Future<Output = ()>) -> Vec<Value> {
    let stream = OwnStream::of(person(1).user);
    let wake = Arc::<Notify>::default();
    let started = harness.streams.subscribe(&person(1), &stream, Position::default(), &wake).await.unwrap();
    let Started { mut subscription, .. } = started;
    run.await;
    let mut frames = Vec::new();
    while let Next::Deliver(deliveries) = subscription.poll(100) {
        for delivery in deliveries {
            let body = match &delivery {
                Delivery::Frame(frame) => frame.body().to_owned(),
                Delivery::Transient(body) => body.to_string(),
                Delivery::Gap { .. } => panic!("a gap"),
            };
            frames.push(serde_json::from_str(&body).unwrap());
        }
    }
    frames
}

#[tokio::test]
async fn a_notification_is_appended_to_the_stream_of_its_recipient() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    let listed = harness.list(1).await.remove(0);
    let frame = json!({
        "type": "notification",
        "id": listed.id,
        "kind": "comment",
        "actor": {"id": 2, "username": "person-2", "display_name": "person-2", "avatar_url": null},
        "actor_count": 1,
        "target": {"kind": "post", "id": 7, "url": "https://example.org/app/posts/7/"},
        "text": "person-2 commented on your post “Hello”",
        "created_at": listed.created_at,
        "updated_at": listed.updated_at,
        "is_read": false,
    });
    assert_eq!(harness.frames(1).await, [frame]);
    assert_eq!(harness.frames(2).await, [] as [Value; 0]);
}

#[tokio::test]
async fn sockets_get_the_notification_and_then_the_number_of_unread_ones() {
    let harness = notifications().await;
    let frames = received(
        &harness,
        Box::pin(async {
            harness.comment(2, 7).await;
            harness.comment(2, 8).await;
        }),
    );
    let frames = frames.await;
    let types: Vec<_> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    let notifications = types.iter().filter(|name| **name == "notification").count();
    assert_eq!((notifications, types.last()), (2, Some(&"unread_count")));
    assert_eq!(frames.last().unwrap(), &json!({"type": "unread_count", "notifications": 2}));
}

#[tokio::test]
async fn reading_updates_the_number_of_unread_ones_on_sockets() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    harness.comment(2, 8).await;
    let id = harness.list(1).await[0].id;
    let frames = received(
        &harness,
        Box::pin(async {
            harness.service.read_notification(&person(1), id).await.unwrap();
        }),
    );
    assert_eq!(frames.await, [json!({"type": "unread_count", "notifications": 1})]);
    let frames = received(
        &harness,
        Box::pin(async {
            harness.service.read_all_notifications(&person(1), ReadAll::default()).await.unwrap();
        }),
    );
    assert_eq!(frames.await, [json!({"type": "unread_count", "notifications": 0})]);
}

#[tokio::test]
async fn a_further_actor_sends_the_same_notification_again() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    harness.comment(3, 7).await;
    let frames = harness.frames(1).await;
    assert_eq!(frames[0]["id"], frames[1]["id"]);
    assert_eq!(frames[1]["text"], "person-3 and 1 other commented on your post “Hello”");
    assert!(frames[0]["id"].as_i64().is_some_and(|id| NotificationId(id).0 > 0));
}

#[tokio::test]
async fn what_a_removed_user_has_caused_is_not_sent_again() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    harness.comment(3, 8).await;
    let removal = &Removal::new(harness.streams.clone());
    harness.db.write(|tx| async move { removal.release(&tx, person(2).user, None).await }).await.unwrap();
    let frames = harness.frames(1).await;
    assert_eq!(frames[0], json!({"type": "hidden"}));
    assert_eq!(frames[1]["actor"]["id"], 3);
}

#[tokio::test]
async fn a_delivery_that_fails_appends_nothing() {
    let harness = notifications().await;
    harness.db.sql("DROP TABLE notifications_actor").await.unwrap();
    harness.happens(&comment(2, 7)).await;
    assert_eq!(harness.frames(1).await, [] as [Value; 0]);
    assert_eq!(harness.unread(1).await, 0);
}

#[tokio::test]
async fn a_notification_is_delivered_as_soon_as_its_event_was_handled() {
    let harness = notifications().await;
    let notifier = harness.notifier.clone();
    let delivery = tokio::spawn(async move { notifier.deliver_forever().await });
    harness.emit(&comment(2, 7)).await;
    // Polling would take longer.
    let delivered = async {
        while harness.unread(1).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(4), delivered).await.unwrap();
    delivery.abort();
}

/// The numbers of the events that are not sent again to a client of person 1 that resumes, and the number of questions
/// for it.
async fn hidden(harness: &Harness) -> (Vec<i64>, usize) {
    let stream = OwnStream::of(person(1).user);
    let events = harness.streams.read(&stream, 0).await.unwrap().frames;
    let before = harness.posts.questions.load(Ordering::SeqCst);
    let hidden = harness.service.own_streams().hidden(&person(1), &stream, &events).await.unwrap();
    let mut hidden: Vec<_> = hidden.into_iter().collect();
    hidden.sort_unstable();
    (hidden, harness.posts.questions.load(Ordering::SeqCst) - before)
}

#[tokio::test]
async fn a_client_that_resumes_does_not_get_what_its_user_may_no_longer_see() {
    let harness = notifications().await;
    for post in [7, 8, 7] {
        harness.comment(2, post).await;
    }
    // Without a target.
    harness.happens(&happened(NotificationKind::System, 1, None, 0)).await;
    assert_eq!(hidden(&harness).await, (vec![], 1));
    harness.posts.hide(1, 7);
    assert_eq!(hidden(&harness).await, (vec![1, 3], 1), "one question for all events");
    harness.posts.reveal(1, 7);
    assert_eq!(hidden(&harness).await.0, [0_i64; 0]);
}

#[tokio::test]
async fn events_of_other_crates_need_no_question() {
    let harness = notifications().await;
    let (stream, event) = (&OwnStream::of(person(1).user), &json!({"type": "message", "target": "Anna"}));
    let streams = &harness.streams;
    harness.db.write(|tx| async move { streams.append(&tx, stream, event).await }).await.unwrap();
    harness.posts.hide(1, 7);
    assert_eq!(hidden(&harness).await, (vec![], 0));
}
