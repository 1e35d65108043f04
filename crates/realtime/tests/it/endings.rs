use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use guildhall_kernel::{Caller, Result, Roles, UserId};
use guildhall_realtime::{Delivery, Next, Position, Seq, StreamHandler, StreamName, Subscription};
use serde_json::json;
use tokio::sync::Notify;

use crate::harness::{Harness, harness, room};

/// Streams that record whose connections have changed.
#[derive(Default)]
pub(crate) struct Halls(Mutex<Vec<UserId>>);

#[async_trait]
impl StreamHandler for Halls {
    fn kinds(&self) -> Vec<&'static str> {
        vec!["hall"]
    }

    async fn visible_after(&self, _: &Caller, _: &StreamName) -> Result<Option<Seq>> {
        Ok(Some(0))
    }

    fn watches_followers(&self) -> bool {
        true
    }

    async fn follower_changed(&self, _: &StreamName, user: UserId) {
        self.0.lock().unwrap().push(user);
    }
}

async fn follow(harness: &Harness, stream: &StreamName, user: i64) -> Subscription {
    let caller = Caller::new(UserId(user), Roles::default());
    let started = harness.streams.subscribe(&caller, stream, Position::default(), &Arc::new(Notify::new())).await;
    started.unwrap().subscription
}

async fn close(harness: &Harness, stream: &StreamName) -> Seq {
    let event = &json!({ "type": "closed" });
    let append = |tx| async move { harness.streams.append_closing(&tx, stream, event).await };
    harness.db.write(append).await.unwrap()
}

#[tokio::test]
async fn the_last_event_of_a_stream_ends_all_subscriptions() {
    let harness = harness().await;
    let (mut one, mut other) = (follow(&harness, &room(1), 1).await, follow(&harness, &room(1), 2).await);
    let seq = close(&harness, &room(1)).await;
    harness.append(&room(1), json!({ "type": "late" })).await;
    for subscription in [&mut one, &mut other] {
        let Next::Deliver(deliveries) = subscription.poll(64) else { panic!("the last event") };
        let [Delivery::Frame(frame)] = &deliveries[..] else { panic!("{deliveries:?}") };
        assert_eq!((frame.seq, frame.body()), (seq, r#"{"closes":true,"type":"closed"}"#));
        assert!(matches!(subscription.poll(64), Next::Ended) && subscription.is_closed());
    }
}

#[tokio::test]
async fn a_removal_is_no_end_of_the_stream() {
    let harness = harness().await;
    let mut removed = follow(&harness, &room(1), 1).await;
    harness.append_removal(&room(1), UserId(1)).await;
    while let Next::Deliver(_) = removed.poll(64) {}
    assert!(matches!(removed.poll(64), Next::Ended) && !removed.is_closed());
}

#[tokio::test]
async fn the_handler_learns_of_the_first_and_the_last_subscription_of_a_user() {
    let harness = harness().await;
    let halls = Arc::new(Halls::default());
    harness.streams.register(halls.clone());
    let stream = StreamName::new("hall", 1_i64);
    let notified = async |count: usize| {
        for _ in 0..200 {
            if halls.0.lock().unwrap().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        halls.0.lock().unwrap().iter().map(|user| user.0).collect::<Vec<_>>()
    };
    let first = follow(&harness, &stream, 1).await;
    assert_eq!(notified(1).await, [1]);
    let second = follow(&harness, &stream, 1).await;
    drop(first);
    let other = follow(&harness, &stream, 2).await;
    assert_eq!(notified(2).await, [1, 2]);
    assert!(harness.streams.is_followed_by(&stream, UserId(1)));
    drop((second, other));
    assert_eq!(notified(4).await.len(), 4);
    assert!(!harness.streams.is_followed_by(&stream, UserId(1)));
    drop(follow(&harness, &room(1), 1).await);
    assert_eq!(notified(4).await.len(), 4, "other handlers do not ask for it");
}
