use std::sync::Arc;

use guildhall_kernel::UserId;
use guildhall_messaging::{
    Blocks, Changes, ConversationState, Conversations, DeleteFor, Groups, Messages, NewMembers, NewMessage, Reading,
    Settings, Target,
};
use guildhall_realtime::{Delivery, Next, OwnStream, Position, Subscription};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::{Harness, code, messaging_with, person};

const CONNECTIONS: u32 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_messages_of_two_people_make_one_conversation_without_gaps() {
    let harness = messaging_with(CONNECTIONS, Settings::default().without_limits()).await;
    let sends = (0..40).map(|n| {
        let messaging = harness.messaging.clone();
        tokio::spawn(async move {
            let (from, to) = if n % 2 == 0 { (1, 2) } else { (2, 1) };
            messaging.send(&person(from), Target::User(UserId(to)), NewMessage::text("x")).await.unwrap().message.no
        })
    });
    let mut numbers = Vec::new();
    for send in sends.collect::<Vec<_>>() {
        numbers.push(send.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    assert_eq!(harness.db.count_rows("messaging_conversation").await, 1);
    for user in [1, 2] {
        assert_eq!(harness.unread_count(&person(user)).await.unwrap(), 20);
    }
    let id = harness.inbox(1).await[0].conversation_id;
    assert_eq!(harness.event_types(&format!("conversation/{id}")).await.len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_with_one_client_id_store_one_message() {
    let harness = messaging_with(CONNECTIONS, Settings::default().without_limits()).await;
    let sends = (0..12).map(|_| {
        let messaging = harness.messaging.clone();
        tokio::spawn(async move {
            let new = NewMessage { client_id: Some("once".into()), ..NewMessage::text("x") };
            messaging.send(&person(1), Target::User(UserId(2)), new).await.unwrap()
        })
    });
    let mut new = 0;
    for send in sends.collect::<Vec<_>>() {
        new += usize::from(!send.await.unwrap().duplicate);
    }
    assert_eq!((new, harness.db.count_rows("messaging_message").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_stored_after_a_block_was_acknowledged() {
    let harness = messaging_with(CONNECTIONS, Settings::default().without_limits()).await;
    harness.say(2, 1, "hello").await;
    for _ in 0..20 {
        let sends = (0..6).map(|_| {
            let messaging = harness.messaging.clone();
            tokio::spawn(async move {
                code(messaging.send(&person(2), Target::User(UserId(1)), NewMessage::text("x")).await)
            })
        });
        let sends: Vec<_> = sends.collect();
        harness.block(&person(1), UserId(2)).await.unwrap();
        let stored = harness.db.count_rows("messaging_message").await;
        for send in sends {
            let outcome = send.await.unwrap();
            assert!(matches!(outcome.as_str(), "ok" | "blocked"), "{outcome}");
        }
        assert_eq!(harness.db.count_rows("messaging_message").await, stored);
        harness.unblock(&person(1), UserId(2)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_between_many_pairs_do_not_deadlock() {
    let harness = messaging_with(CONNECTIONS, Settings::default().without_limits()).await;
    let sends = (0..60).map(|n| {
        let messaging = harness.messaging.clone();
        tokio::spawn(async move {
            let (from, to) = (1 + n % 4, 1 + (n / 4 + 1 + n) % 4);
            if from != to {
                messaging.send(&person(from), Target::User(UserId(to)), NewMessage::text("x")).await.unwrap();
                let of = Target::User(UserId(to));
                messaging.mark_conversation_read(&person(from), of, None).await.unwrap();
            }
        })
    });
    for send in sends.collect::<Vec<_>>() {
        send.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_never_exceeds_its_maximum() {
    let harness = messaging_with(CONNECTIONS, Settings::default().without_limits()).await;
    let first: Vec<i64> = (1..=97).collect();
    let group = harness.group(&first).await;
    let adds = (100..110).map(|user| {
        let messaging = harness.messaging.clone();
        tokio::spawn(async move {
            code(messaging.add_members(&person(1), group, NewMembers { user_ids: vec![UserId(user)] }).await)
        })
    });
    let mut added = 0;
    for add in adds.collect::<Vec<_>>() {
        added += usize::from(add.await.unwrap() == "ok");
    }
    assert_eq!(added, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_pins_more_conversations_than_allowed_at_the_same_time() {
    let harness = messaging_with(CONNECTIONS, Settings::default().without_limits()).await;
    let pin = || ConversationState { is_pinned: Some(true), ..ConversationState::default() };
    let mut conversations = Vec::new();
    for other in 2..=30 {
        conversations.push(harness.say(other, 1, "hello").await.conversation_id);
    }
    let last = conversations.split_off(19);
    for id in conversations {
        harness.change_state(&person(1), id, pin()).await.unwrap();
    }
    let pins = last.into_iter().map(|id| {
        let messaging = harness.messaging.clone();
        tokio::spawn(async move { code(messaging.change_state(&person(1), id, pin()).await) })
    });
    let mut pinned = 0;
    for pin in pins.collect::<Vec<_>>() {
        pinned += usize::from(pin.await.unwrap() == "ok");
    }
    assert_eq!(pinned, 1);
    assert_eq!(harness.inbox(1).await.iter().filter(|conversation| conversation.is_pinned).count(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_number_of_unread_messages_that_somebody_gets_is_right() {
    let harness = messaging_with(CONNECTIONS, Settings::default().without_limits()).await;
    for _ in 0..5 {
        for other in 2..=9 {
            harness.say(other, 1, "hello").await;
        }
        let mut own = follow_own(&harness).await;
        let reads = (2..=9).map(|other| {
            let messaging = harness.messaging.clone();
            tokio::spawn(async move {
                messaging.mark_conversation_read(&person(1), Target::User(UserId(other)), None).await.unwrap();
            })
        });
        for read in reads.collect::<Vec<_>>() {
            read.await.unwrap();
        }
        let counts = values(&mut own, "messages");
        assert_eq!(counts.last(), Some(&json!(0)), "{counts:?}");
    }
}

/// The stream of person 1.
async fn follow_own(harness: &Harness) -> Subscription {
    let (stream, wake) = (OwnStream::of(UserId(1)), Arc::new(Notify::new()));
    harness.streams.subscribe(&person(1), &stream, Position::default(), &wake).await.unwrap().subscription
}

/// The values of this member in the frames that have arrived and are not stored.
fn values(subscription: &mut Subscription, member: &str) -> Vec<Value> {
    let mut values = Vec::new();
    while let Next::Deliver(deliveries) = subscription.poll(64) {
        values.extend(deliveries.iter().filter_map(|delivery| match delivery {
            Delivery::Transient(body) => serde_json::from_str::<Value>(body).unwrap().get(member).cloned(),
            _ => None,
        }));
    }
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_number_of_unread_messages_of_a_conversation_that_somebody_gets_is_right() {
    let harness = messaging_with(CONNECTIONS, Settings::default().without_limits()).await;
    for round in 0..10 {
        let mut messages = Vec::new();
        for _ in 0..8 {
            messages.push(harness.say(2, 1, "hello").await);
        }
        let mut own = follow_own(&harness).await;
        let deletions = messages.into_iter().map(|message| {
            let messaging = harness.messaging.clone();
            // The numbers of messages and of what was read stay the same.
            let (user, whom) = if round % 2 == 0 { (2, DeleteFor::Everyone) } else { (1, DeleteFor::Me) };
            tokio::spawn(async move {
                messaging.delete(&person(user), message.conversation_id, message.id, whom).await.unwrap();
            })
        });
        for deletion in deletions.collect::<Vec<_>>() {
            deletion.await.unwrap();
        }
        let counts = values(&mut own, "unread_count");
        assert_eq!(counts.last(), Some(&json!(0)), "{counts:?}");
    }
}
