use guildhall_chat::{Messages, Reactions};

use crate::harness::{chat, code, person};

#[tokio::test]
async fn a_reaction_is_counted_once_per_person_and_emoji() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let message = harness.say(1, room, "x").await;
    for user in [1, 2, 2] {
        harness.react(&person(user), room, message.id, "👍".into()).await.unwrap();
    }
    let shown = harness.message(&person(2), room, message.id).await.unwrap();
    assert_eq!((shown.reactions["👍"], shown.my_reactions.unwrap()), (2, vec!["👍".to_owned()]));
    for _ in 0..2 {
        harness.unreact(&person(2), room, message.id, "👍".into()).await.unwrap();
    }
    assert_eq!(harness.message(&person(2), room, message.id).await.unwrap().reactions["👍"], 1);
    let events = harness.events(room).await;
    let reactions: Vec<_> =
        events.iter().filter(|event| event["type"] == "reaction").map(|e| e["on"].clone()).collect();
    assert_eq!(reactions, [true, true, false]);
    assert_eq!(code(harness.react(&person(3), room, message.id, "👍".into()).await), "not_participant");
    assert_eq!(code(harness.react(&person(1), room, message.id, "thumb".into()).await), "invalid");
}

#[tokio::test]
async fn a_message_has_at_most_20_different_reactions() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let message = harness.say(1, room, "x").await;
    let all: Vec<&str> = "😀 😃 😄 😁 😆 😅 😂 🙂 🙃 😉 😊 😇 🥰 😍 🤩 😘 😗 😚 😙 😋 😛".split(' ').collect();
    for emoji in &all[..20] {
        harness.react(&person(1), room, message.id, (*emoji).into()).await.unwrap();
    }
    assert_eq!(code(harness.react(&person(2), room, message.id, all[20].into()).await), "invalid");
    assert_eq!(code(harness.react(&person(2), room, message.id, all[0].into()).await), "ok");
}
