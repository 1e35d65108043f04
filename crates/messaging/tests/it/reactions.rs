use std::collections::BTreeMap;

use guildhall_messaging::{Changes, DeleteFor, Reactions};

use crate::harness::{code, messaging, person};

#[tokio::test]
async fn reactions_are_counted_and_reach_the_other_side() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "hello").await;
    let (conversation, id) = (message.conversation_id, message.id);
    for (user, emoji) in [(1, "👍"), (2, "👍"), (2, "👍"), (2, "🎉")] {
        harness.react(&person(user), conversation, id, emoji.into()).await.unwrap();
    }
    let seen = harness.history(2, 1).await.messages.remove(0);
    assert_eq!(seen.reactions, BTreeMap::from([("👍".into(), 2), ("🎉".into(), 1)]));
    assert_eq!(seen.my_reactions.unwrap(), ["🎉", "👍"]);
    harness.unreact(&person(2), conversation, id, "👍".into()).await.unwrap();
    harness.unreact(&person(2), conversation, id, "👍".into()).await.unwrap();
    assert_eq!(harness.history(1, 2).await.messages[0].reactions["👍"], 1);
    let events = harness.events(&format!("conversation/{conversation}")).await;
    let on: Vec<bool> = events[1..].iter().map(|event| event["on"].as_bool().unwrap()).collect();
    assert_eq!(on, [true, true, true, false]);
}

#[tokio::test]
async fn only_those_who_can_read_a_message_react_with_one_emoji() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "hello").await;
    let (conversation, id) = (message.conversation_id, message.id);
    let react = async |user, emoji: &str| code(harness.react(&person(user), conversation, id, emoji.into()).await);
    assert_eq!(react(3, "👍").await, "message_not_found");
    for invalid in ["", "like", "👍👍", "\0"] {
        assert_eq!(react(2, invalid).await, "invalid", "{invalid:?}");
    }
    harness.delete(&person(1), conversation, id, DeleteFor::Everyone).await.unwrap();
    assert_eq!(react(2, "👍").await, "not_changeable");
}

#[tokio::test]
async fn a_message_has_at_most_twenty_different_reactions() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "hello").await;
    let emoji = "😀 😃 😄 😁 😆 😅 🤣 😂 🙂 🙃 😉 😊 😇 🥰 😍 🤩 😘 😗 😚 😙";
    let (conversation, id) = (message.conversation_id, message.id);
    for emoji in emoji.split(' ') {
        harness.react(&person(1), conversation, id, emoji.into()).await.unwrap();
    }
    assert_eq!(code(harness.react(&person(2), conversation, id, "👍".into()).await), "invalid");
    assert_eq!(code(harness.react(&person(2), conversation, id, "😀".into()).await), "ok");
}
