use guildhall_kernel::{IfMatch, UserId};
use guildhall_messaging::{Changes, Groups, MessagePatch, Messages, NewGroup, NewMessage, Reactions, Settings, Target};

use crate::harness::{code, messaging_with, person};

#[tokio::test]
async fn a_user_sends_a_limited_number_of_messages_at_once() {
    let settings = Settings { send_burst: 3, sends_per_second: 1, ..Settings::default() };
    let harness = messaging_with(1, settings).await;
    let send = async |from| code(harness.send(&person(from), Target::User(UserId(9)), NewMessage::text("x")).await);
    let mut outcomes = Vec::new();
    for _ in 0..30 {
        outcomes.push(send(1).await);
    }
    assert_eq!(outcomes[..3], ["ok", "ok", "ok"]);
    assert!(outcomes.contains(&"rate_limited".to_owned()));
    assert_eq!(send(2).await, "ok");
}

#[tokio::test]
async fn edits_and_reactions_count_like_messages() {
    let settings = Settings { send_burst: 3, sends_per_second: 1, ..Settings::default() };
    let harness = messaging_with(1, settings).await;
    let message = harness.say(1, 2, "x").await;
    let (conversation, id, user) = (message.conversation_id, message.id, person(2));
    let mut outcomes = Vec::new();
    for _ in 0..20 {
        outcomes.push(code(harness.react(&user, conversation, id, "👍".into()).await));
        outcomes.push(code(harness.unreact(&user, conversation, id, "👍".into()).await));
    }
    assert_eq!(outcomes[..3], ["ok", "ok", "ok"]);
    assert!(outcomes.contains(&"rate_limited".to_owned()));
    let patch = |n| MessagePatch { content: format!("y{n}") };
    let mut outcomes = Vec::new();
    for n in 0..20 {
        outcomes.push(code(harness.edit(&person(1), conversation, id, patch(n), IfMatch::default()).await));
    }
    assert!(outcomes.contains(&"rate_limited".to_owned()));
}

#[tokio::test]
async fn a_user_begins_a_limited_number_of_conversations_per_day() {
    let settings = Settings { conversations_per_day: 2, ..Settings::default() };
    let harness = messaging_with(1, settings).await;
    let send = async |to| code(harness.send(&person(1), Target::User(UserId(to)), NewMessage::text("x")).await);
    assert_eq!((send(2).await, send(3).await), ("ok".into(), "ok".into()));
    assert_eq!(send(4).await, "quota_exceeded");
    assert_eq!(send(2).await, "ok");
    let new = NewGroup { name: "x".into(), user_ids: vec![] };
    assert_eq!(code(harness.create_group(&person(1), new).await), "quota_exceeded");
    assert_eq!(harness.db.count_rows("messaging_conversation").await, 2);
}
