use std::sync::Arc;

use guildhall_kernel::{Caller, IfMatch, Kind, UserId};
use guildhall_messaging::{
    Blocks, Changes, ConversationId, Conversations, DeleteFor, Groups, Message, MessagePatch, NewMembers, Reactions,
    Reading, Target,
};
use guildhall_realtime::{Delivery, Next, OwnStream, Position, Started, StreamHandler, StreamName, Subscription};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::{Harness, messaging, person};

fn stream(id: ConversationId) -> StreamName {
    StreamName::new("conversation", id.0)
}

/// Follows a stream from now on.
async fn follow(harness: &Harness, user: i64, stream: &StreamName) -> Result<Subscription, String> {
    let started = harness.streams.subscribe(&person(user), stream, Position::default(), &Arc::new(Notify::new())).await;
    started.map(|Started { subscription, .. }| subscription).map_err(|error| error.code().to_owned())
}

/// What a subscriber gets now.
fn received(subscription: &mut Subscription) -> Vec<Value> {
    let mut all = Vec::new();
    while let Next::Deliver(deliveries) = subscription.poll(64) {
        for delivery in deliveries {
            match delivery {
                Delivery::Frame(frame) => all.push(serde_json::from_str(frame.body()).unwrap()),
                Delivery::Transient(body) => all.push(serde_json::from_str(&body).unwrap()),
                Delivery::Gap { .. } => panic!("a gap"),
            }
        }
    }
    all
}

/// What a client gets of a stream that resumes from its beginning: the contents of messages and edits, and the types of the
/// other events.
async fn replay(harness: &Harness, user: i64, stream: &StreamName) -> Vec<String> {
    let events = harness.streams.read(stream, 0).await.unwrap().frames;
    let hidden = match stream.kind() {
        "conversation" => harness.handler.hidden(&person(user), stream, &events).await.unwrap(),
        _ => std::collections::HashSet::new(),
    };
    let show = |event: Value| {
        let content = event["message"]["content"].as_str().or(event["content"].as_str());
        content.or(event["type"].as_str()).unwrap().to_owned()
    };
    let shown = events.iter().map(|event| {
        if hidden.contains(&event.seq) {
            "hidden".to_owned()
        } else {
            show(serde_json::from_str(event.body()).unwrap())
        }
    });
    shown.collect()
}

async fn edit(harness: &Harness, user: i64, message: &Message, content: &str) {
    let patch = MessagePatch { content: content.into() };
    harness.edit(&person(user), message.conversation_id, message.id, patch, IfMatch::default()).await.unwrap();
}

#[tokio::test]
async fn a_deleted_message_is_not_sent_again_to_whoever_resumes_or_joins_later() {
    let harness = messaging().await;
    let group = harness.group(&[1, 2]).await;
    let message = harness.say_in(1, group, "secret").await;
    harness.delete(&person(1), group, message.id, DeleteFor::Everyone).await.unwrap();
    harness.add_members(&person(1), group, NewMembers { user_ids: vec![UserId(3)] }).await.unwrap();
    for user in [2, 3] {
        let expected = ["member_joined", "Group created.", "hidden", "message_deleted", "member_joined"];
        assert_eq!(replay(&harness, user, &stream(group)).await, expected);
    }
}

#[tokio::test]
async fn a_message_deleted_for_one_person_is_not_sent_to_them_again() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "hello").await;
    harness.say(1, 2, "again").await;
    let (id, own) = (message.conversation_id, OwnStream::of(UserId(2)));
    harness.react(&person(1), id, message.id, "👍".into()).await.unwrap();
    harness.delete(&person(2), id, message.id, DeleteFor::Me).await.unwrap();
    assert_eq!(replay(&harness, 2, &stream(id)).await, ["hidden", "again", "hidden"]);
    assert_eq!(replay(&harness, 2, &own).await, ["hidden", "again"]);
    assert_eq!(replay(&harness, 1, &stream(id)).await, ["hello", "again", "reaction"]);
    assert_eq!(replay(&harness, 1, &OwnStream::of(UserId(1))).await, ["hello", "again"]);
    edit(&harness, 1, &message, "hello!").await;
    assert_eq!(replay(&harness, 2, &stream(id)).await, ["hidden", "again", "hidden", "hidden"]);
    assert_eq!(replay(&harness, 2, &own).await, ["hidden", "again"]);
    assert_eq!(replay(&harness, 1, &OwnStream::of(UserId(1))).await, ["hello", "again", "hello!"]);
}

#[tokio::test]
async fn a_cleared_history_is_not_sent_again() {
    let harness = messaging().await;
    let old = harness.say(1, 2, "old").await;
    let id = old.conversation_id;
    harness.say(3, 2, "from somebody else").await;
    harness.clear(&person(2), id).await.unwrap();
    harness.say(1, 2, "new").await;
    assert_eq!(replay(&harness, 2, &stream(id)).await, ["hidden", "new"]);
    assert_eq!(replay(&harness, 2, &OwnStream::of(UserId(2))).await, ["hidden", "from somebody else", "new"]);
    assert_eq!(replay(&harness, 1, &stream(id)).await, ["old", "new"]);
    edit(&harness, 1, &old, "old!").await;
    assert_eq!(replay(&harness, 2, &stream(id)).await, ["hidden", "new", "hidden"]);
    assert_eq!(replay(&harness, 2, &OwnStream::of(UserId(2))).await, ["hidden", "from somebody else", "new"]);
    assert_eq!(replay(&harness, 1, &OwnStream::of(UserId(1))).await, ["old", "new", "old!"]);
}

#[tokio::test]
async fn whoever_can_read_the_history_of_edits_gets_it_again() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "helo").await;
    let id = message.conversation_id;
    edit(&harness, 1, &message, "hello").await;
    assert_eq!(replay(&harness, 2, &stream(id)).await, ["helo", "hello"]);
    assert_eq!(harness.revisions(&person(2), id, message.id).await.unwrap()[0].content, "helo");
}

async fn command(harness: &Harness, caller: Caller, id: ConversationId, kind: &str, command: Value) -> Value {
    let Value::Object(command) = command else { panic!("not an object") };
    match harness.handler.handle(&caller, &stream(id), kind, command).await {
        Ok(reply) => reply.unwrap_or_default(),
        Err(error) => json!(error.code()),
    }
}

#[tokio::test]
async fn only_those_who_take_part_follow_a_conversation() {
    let harness = messaging().await;
    let id = harness.say(1, 2, "hello").await.conversation_id;
    assert!(follow(&harness, 1, &stream(id)).await.is_ok() && follow(&harness, 2, &stream(id)).await.is_ok());
    for name in [stream(id), stream(ConversationId(4711)), "conversation/1/2".parse().unwrap()] {
        assert_eq!(follow(&harness, 3, &name).await.err().unwrap(), "stream_not_allowed");
    }
}

#[tokio::test]
async fn a_direct_message_reaches_the_streams_of_the_conversation_and_of_both_people() {
    let harness = messaging().await;
    let id = harness.say(1, 2, "first").await.conversation_id;
    let mut conversation = follow(&harness, 2, &stream(id)).await.unwrap();
    let mut receiver = follow(&harness, 2, &OwnStream::of(UserId(2))).await.unwrap();
    let mut sender = follow(&harness, 1, &OwnStream::of(UserId(1))).await.unwrap();
    let message = harness.say(1, 2, "second").await;
    let events = received(&mut conversation);
    assert_eq!((events.len(), &events[0]["type"]), (1, &json!("message")));
    let shown = &events[0]["message"];
    assert_eq!(
        (&shown["id"], &shown["content"], &shown["is_read"]),
        (&json!(message.id), &json!("second"), &json!(false))
    );
    assert!(shown.get("my_reactions").is_none());
    let events = received(&mut receiver);
    assert_eq!((&events[0]["type"], &events[0]["message"]["id"]), (&json!("direct_message"), &json!(message.id)));
    assert_eq!(events[1], json!({"type": "unread_count", "messages": 2}));
    let events = received(&mut sender);
    assert_eq!(events.iter().map(|event| &event["type"]).collect::<Vec<_>>(), ["direct_message"]);
    harness.mark_conversation_read(&person(2), Target::Conversation(id), None).await.unwrap();
    assert_eq!(received(&mut conversation), [json!({"type": "read", "user_id": 2, "up_to": 2})]);
    assert!(received(&mut receiver).contains(&json!({"type": "unread_count", "messages": 0})));
}

#[tokio::test]
async fn a_message_of_a_group_notifies_each_member_of_the_unread_count() {
    let harness = messaging().await;
    let group = harness.group(&[1, 2, 3]).await;
    let mut own = follow(&harness, 3, &OwnStream::of(UserId(3))).await.unwrap();
    harness.say_in(1, group, "hello").await;
    assert_eq!(received(&mut own), [json!({"type": "conversation", "conversation_id": group, "unread_count": 2})]);
}

#[tokio::test]
async fn whoever_is_removed_gets_nothing_after_the_removal() {
    let harness = messaging().await;
    let group = harness.group(&[1, 2]).await;
    let mut removed = follow(&harness, 2, &stream(group)).await.unwrap();
    harness.remove_member(&person(1), group, UserId(2)).await.unwrap();
    harness.say_in(1, group, "alone").await;
    assert_eq!(received(&mut removed), [json!({"type": "member_removed", "user_id": 2, "by": 1})]);
    assert!(matches!(removed.poll(64), Next::Ended));
    assert!(follow(&harness, 2, &stream(group)).await.is_err());
}

#[tokio::test]
async fn followers_send_edit_react_read_and_delete() {
    let harness = messaging().await;
    let id = harness.say(1, 2, "hello").await.conversation_id;
    let mut follower = follow(&harness, 1, &stream(id)).await.unwrap();
    let send = json!({"content": "hi", "client_id": "c1", "message_type": "question"});
    assert_eq!(command(&harness, person(2), id, "message", send.clone()).await, Value::Null);
    let message = received(&mut follower).remove(0)["message"].clone();
    assert_eq!((&message["content"], &message["client_id"]), (&json!("hi"), &json!("c1")));
    let repeated = command(&harness, person(2), id, "message", send).await;
    assert_eq!((&repeated["duplicate"], &repeated["message"]["id"]), (&json!(true), &message["id"]));
    let of = &message["id"];
    for (user, kind, members) in [
        (2, "edit", json!({"id": of, "content": "hi!"})),
        (1, "react", json!({"id": of, "emoji": "👍"})),
        (1, "unreact", json!({"id": of, "emoji": "👍"})),
        (1, "read", json!({"id": of})),
        (2, "delete", json!({"id": of})),
    ] {
        assert_eq!(command(&harness, person(user), id, kind, members).await, Value::Null, "{kind}");
    }
    let types: Vec<Value> = received(&mut follower).into_iter().map(|event| event["type"].clone()).collect();
    assert_eq!(types, ["message_edited", "reaction", "reaction", "read", "message_deleted"]);
    for (kind, members, expected) in [
        ("dance", json!({}), "unknown_type"),
        ("message", json!({}), "invalid"),
        ("message", json!({"content": 5}), "invalid"),
        ("message", json!({"content": " "}), "invalid"),
        ("edit", json!({"id": 4711, "content": "x"}), "message_not_found"),
    ] {
        assert_eq!(command(&harness, person(2), id, kind, members).await, expected, "{kind}");
    }
    let foreign = command(&harness, person(3), id, "message", json!({"content": "x"})).await;
    assert_eq!(foreign, "conversation_not_found");
}

#[tokio::test]
async fn typing_is_sent_to_the_others_at_most_every_three_seconds_and_not_to_blocked_people() {
    let harness = messaging().await;
    let id = harness.say(1, 2, "hello").await.conversation_id;
    let mut other = follow(&harness, 2, &stream(id)).await.unwrap();
    let mut own = follow(&harness, 1, &stream(id)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(command(&harness, person(1), id, "typing", json!({"on": true})).await, Value::Null);
    }
    let events = received(&mut other);
    assert_eq!((events.len(), &events[0]["type"], &events[0]["on"]), (1, &json!("typing"), &json!(true)));
    assert_eq!(events[0]["user"]["username"], "person-1");
    assert!(received(&mut own).is_empty());
    command(&harness, person(1), id, "typing", json!({"on": false})).await;
    assert_eq!(received(&mut other)[0]["on"], false);
    harness.block(&person(1), UserId(2)).await.unwrap();
    command(&harness, person(2), id, "typing", json!({})).await;
    assert!(received(&mut own).is_empty());
}

#[tokio::test]
async fn nobody_who_has_blocked_somebody_in_a_group_sees_them_typing() {
    let harness = messaging().await;
    let group = harness.group(&[1, 2, 3]).await;
    let mut other = follow(&harness, 3, &stream(group)).await.unwrap();
    command(&harness, person(1), group, "typing", json!({})).await;
    assert_eq!(received(&mut other).len(), 1);
    harness.block(&person(3), UserId(2)).await.unwrap();
    command(&harness, person(2), group, "typing", json!({})).await;
    assert!(received(&mut other).is_empty());
}

#[tokio::test]
async fn a_database_error_does_not_look_like_a_removal() {
    let harness = messaging().await;
    let conversation = harness.say(1, 2, "hello").await.conversation_id;
    harness.db.sql("ALTER TABLE messaging_member RENAME TO messaging_gone").await.unwrap();
    let outcome = harness.handler.visible_after(&person(1), &stream(conversation)).await;
    assert!(matches!(&outcome, Err(error) if error.kind() == Kind::Internal), "{outcome:?}");
}
