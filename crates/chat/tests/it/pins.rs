use guildhall_chat::Pins;
use guildhall_kernel::UserId;

use crate::harness::{chat, code, person};

#[tokio::test]
async fn moderators_pin_messages() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let (first, second) = (harness.say(2, room, "a").await, harness.say(2, room, "b").await);
    assert_eq!(code(harness.pin(&person(2), room, first.id).await), "not_moderator");
    for message in [&first, &second, &second] {
        harness.pin(&person(1), room, message.id).await.unwrap();
    }
    let pins = harness.pins(&person(2), room).await.unwrap();
    let shown: Vec<_> = pins.iter().map(|pin| (pin.message.content.as_str(), pin.message.is_pinned)).collect();
    assert_eq!(shown, [("b", true), ("a", true)]);
    assert_eq!(pins[0].pinned_by.as_ref().unwrap().id, UserId(1));
    assert_eq!(code(harness.pins(&person(3), room).await), "not_participant");
    harness.unpin(&person(1), room, second.id).await.unwrap();
    harness.unpin(&person(1), room, second.id).await.unwrap();
    assert_eq!(harness.pins(&person(2), room).await.unwrap().len(), 1);
    assert_eq!(harness.card(1, room).await.last_seq, 6);
}

#[tokio::test]
async fn at_most_50_messages_are_pinned() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    for _ in 0..50 {
        let message = harness.say(1, room, "x").await;
        harness.pin(&person(1), room, message.id).await.unwrap();
    }
    let message = harness.say(1, room, "x").await;
    assert_eq!(code(harness.pin(&person(1), room, message.id).await), "too_many_pins");
    assert_eq!(harness.pins(&person(1), room).await.unwrap().len(), 50);
}
