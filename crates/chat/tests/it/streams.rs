use guildhall_chat::{NewRoom, Participants, RoomId, Rooms};
use guildhall_kernel::{Caller, UserId};
use guildhall_realtime::{Delivery, Next, Position, StreamHandler, Subscription};
use serde_json::{Value, json};

use crate::harness::{Harness, chat, person, stream};

/// What a subscriber gets now, with the numbers.
fn received(subscription: &mut Subscription) -> Vec<Value> {
    let mut all = Vec::new();
    while let Next::Deliver(deliveries) = subscription.poll(64) {
        for delivery in deliveries {
            match delivery {
                Delivery::Frame(frame) => {
                    let mut event: Value = serde_json::from_str(frame.body()).unwrap();
                    event["seq"] = frame.seq.into();
                    all.push(event);
                }
                Delivery::Transient(body) => all.push(serde_json::from_str(&body).unwrap()),
                Delivery::Gap { .. } => panic!("a gap"),
            }
        }
    }
    all
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

async fn command(harness: &Harness, caller: Caller, room: RoomId, kind: &str, command: Value) -> Value {
    let Value::Object(command) = command else { panic!("not an object") };
    match harness.handler.handle(&caller, &stream(room), kind, command).await {
        Ok(reply) => reply.unwrap_or_default(),
        Err(error) => json!(error.code()),
    }
}

#[tokio::test]
async fn only_participants_of_an_active_room_follow_it() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    assert!(harness.follow(1, room).await.is_ok() && harness.follow(2, room).await.is_ok());
    assert_eq!(harness.follow(3, room).await.err().unwrap(), "stream_not_allowed");
    assert_eq!(harness.follow(3, RoomId(4711)).await.err().unwrap(), "room_not_found");
    harness.close_room(&person(1), room).await.unwrap();
    assert_eq!(harness.follow(2, room).await.err().unwrap(), "room_closed");
    assert_eq!(harness.follow(3, room).await.err().unwrap(), "stream_not_allowed");
}

#[tokio::test]
async fn every_event_has_the_next_number() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let mut follower = harness.follow(1, room).await.unwrap();
    let send = json!({"content": "hi", "client_id": "c1"});
    assert_eq!(command(&harness, person(2), room, "message", send.clone()).await, Value::Null);
    let message = received(&mut follower).remove(0);
    assert_eq!((&message["seq"], &message["content"], &message["client_id"]), (&json!(2), &json!("hi"), &json!("c1")));
    let repeated = command(&harness, person(2), room, "message", send).await;
    assert_eq!((&repeated["duplicate"], &repeated["seq"], &repeated["id"]), (&json!(true), &json!(2), &message["id"]));
    let of = &message["id"];
    for (user, kind, members) in [
        (2, "edit", json!({"id": of, "content": "hi!"})),
        (1, "react", json!({"id": of, "emoji": "👍"})),
        (1, "unreact", json!({"id": of, "emoji": "👍"})),
        (1, "read", json!({"seq": 3})),
        (2, "delete", json!({"id": of})),
    ] {
        assert_eq!(command(&harness, person(user), room, kind, members).await, Value::Null, "{kind}");
    }
    let mut events = received(&mut follower);
    let read = events.remove(events.iter().position(|event| event["type"] == "read").unwrap());
    assert_eq!(read, json!({"type": "read", "user_id": 1, "no": 2}), "reading takes no number");
    assert_eq!(types(&events), ["message_edited", "reaction", "reaction", "message_deleted"]);
    assert_eq!(events.iter().map(|event| event["seq"].clone()).collect::<Vec<_>>(), [3, 4, 5, 6]);
    for (kind, members, expected) in [
        ("dance", json!({}), "unknown_type"),
        ("message", json!({}), "invalid"),
        ("message", json!({"content": 5}), "invalid"),
        ("message", json!({"content": " "}), "invalid"),
        ("edit", json!({"id": 4711, "content": "x"}), "message_not_found"),
    ] {
        assert_eq!(command(&harness, person(2), room, kind, members).await, expected, "{kind}");
    }
    assert_eq!(command(&harness, person(3), room, "message", json!({"content": "x"})).await, "not_participant");
}

#[tokio::test]
async fn whoever_is_removed_gets_nothing_after_the_removal() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let mut removed = harness.follow(2, room).await.unwrap();
    harness.remove(&person(1), room, UserId(2)).await.unwrap();
    harness.say(1, room, "alone").await;
    let events = received(&mut removed);
    assert_eq!((events.len(), &events[0]["event"]), (1, &json!("member_removed")));
    assert!(matches!(removed.poll(64), Next::Ended) && !removed.is_closed());
    assert!(harness.follow(2, room).await.is_err());
    harness.invite(&person(1), room, UserId(2)).await.unwrap();
    let from_start = Position { after: Some(0), epoch: None };
    let mut back = harness.follow_from(2, room, from_start).await.unwrap();
    let Next::Read(after) = back.poll(64) else { panic!("the ring has nothing") };
    back.feed(harness.streams.read(&stream(room), after).await.unwrap());
    assert_eq!(received(&mut back).len(), 4, "the earlier removal does not end it");
}

#[tokio::test]
async fn who_leaves_gets_nothing_more() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let mut left = harness.follow(2, room).await.unwrap();
    harness.leave_room(2, room).await.unwrap();
    assert_eq!(received(&mut left)[0]["event"], "member_left");
    assert!(matches!(left.poll(64), Next::Ended));
}

#[tokio::test]
async fn closing_ends_all_subscriptions() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let (mut host, mut other) = (harness.follow(1, room).await.unwrap(), harness.follow(2, room).await.unwrap());
    harness.leave_room(1, room).await.unwrap();
    for subscription in [&mut host, &mut other] {
        let events = received(subscription);
        assert_eq!(types(&events), ["message", "room_closed"]);
        assert_eq!(events[1]["reason"], "host_left");
        assert!(matches!(subscription.poll(64), Next::Ended) && subscription.is_closed());
    }
}

#[tokio::test]
async fn new_participants_follow_only_from_their_joining() {
    let harness = chat().await;
    let new = NewRoom { history_from_start: false, ..NewRoom::named("den") };
    let room = harness.room_with(1, &[], new).await;
    harness.say(1, room, "secret").await;
    harness.invite(&person(1), room, UserId(2)).await.unwrap();
    let from_start = Position { after: Some(0), epoch: None };
    let mut follower = harness.follow_from(2, room, from_start).await.unwrap();
    let Next::Read(after) = follower.poll(64) else { panic!("the ring has nothing") };
    follower.feed(harness.streams.read(&stream(room), after).await.unwrap());
    let events = received(&mut follower);
    assert_eq!((events.len(), &events[0]["event"]), (1, &json!("member_joined")));
}

#[tokio::test]
async fn typing_is_published_to_the_others_until_a_message_is_sent() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let (mut other, mut own) = (harness.follow(1, room).await.unwrap(), harness.follow(2, room).await.unwrap());
    for _ in 0..3 {
        assert_eq!(command(&harness, person(2), room, "typing", json!({})).await, Value::Null);
    }
    let events = received(&mut other);
    assert_eq!((events.len(), &events[0]["type"], &events[0]["on"]), (1, &json!("typing"), &json!(true)));
    assert_eq!(events[0]["user"]["username"], "person-2");
    assert!(received(&mut own).is_empty());
    harness.say(2, room, "x").await;
    let events = received(&mut other);
    assert!(events.iter().any(|event| event["type"] == "typing" && event["on"] == false), "{events:?}");
    assert_eq!(command(&harness, person(3), room, "typing", json!({})).await, "not_participant");
}
