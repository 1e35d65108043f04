use std::time::Duration;

use guildhall_chat::{Message, MessageId, MessageType, Messages, NewMessage, NewRoom, Participants, RoomId};
use guildhall_kernel::{CursorQuery, UserId};

use crate::harness::{Harness, chat, code, person, staff};

fn contents(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.content.as_str()).collect()
}

async fn talk(harness: &Harness, room: RoomId) {
    for content in ["a", "b", "c", "d", "e"] {
        harness.say(1, room, content).await;
    }
}

#[tokio::test]
async fn a_message_has_a_number_in_the_room_and_a_sender() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let message = harness.say(2, room, "hello").await;
    assert_eq!((message.seq, message.no, message.message_type), (Some(2), 2, MessageType::Text));
    assert_eq!((message.sender.unwrap().id, message.file, message.client_id), (UserId(2), None, None));
    let card = harness.card(1, room).await;
    assert_eq!((card.last_seq, card.unread_count), (2, Some(2)));
}

#[tokio::test]
async fn only_participants_send_and_read() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    for caller in [person(3), staff(9)] {
        assert_eq!(code(harness.send(&caller, room, NewMessage::text("x")).await), "not_participant");
        assert_eq!(code(harness.messages(&caller, room, CursorQuery::newest(5)).await), "not_participant");
        assert_eq!(code(harness.messages_around(&caller, room, 1, 5).await), "not_participant");
    }
    assert_eq!(code(harness.send(&person(1), RoomId(4711), NewMessage::text("x")).await), "room_not_found");
}

#[tokio::test]
async fn messages_are_read_by_id_in_their_room_only() {
    let harness = chat().await;
    let (room, other) = (harness.room_of(1, &[2]).await, harness.room_of(1, &[]).await);
    let (first, second) = (harness.say(1, room, "one").await, harness.say(2, room, "two").await);
    let elsewhere = harness.say(1, other, "three").await;
    let ids = vec![second.id, first.id, elsewhere.id, MessageId(4711)];
    let found = harness.messages_by_id(&person(2), room, ids.clone()).await.unwrap();
    assert_eq!(contents(&found), ["one", "two"]);
    assert_eq!(code(harness.messages_by_id(&person(3), room, ids).await), "not_participant");
    let new = NewRoom { history_from_start: false, ..NewRoom::named("later") };
    let room = harness.room_with(1, &[], new).await;
    let before = harness.say(1, room, "before").await;
    harness.invite(&person(1), room, UserId(3)).await.unwrap();
    assert!(harness.messages_by_id(&person(3), room, vec![before.id]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_content_has_1_to_10000_characters_after_normalization() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    for bad in ["", " ", "\n", "\u{200b}", "a\0b", &"é".repeat(10_001)] {
        assert_eq!(code(harness.send(&person(1), room, NewMessage::text(bad)).await), "invalid", "{bad:.10}");
    }
    // Two characters each, until they are composed.
    let longest = "e\u{301}".repeat(10_000);
    assert_eq!(harness.say(1, room, &longest).await.content, "é".repeat(10_000));
}

#[tokio::test]
async fn the_history_is_a_keyset_of_event_numbers() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    talk(&harness, room).await;
    let page = async |cursor| harness.messages(&person(1), room, cursor).await.unwrap().results;
    assert_eq!(contents(&page(CursorQuery::newest(2)).await), ["e", "d"]);
    assert_eq!(contents(&page(CursorQuery::before(4, 2)).await), ["c", "b"]);
    let around = harness.messages_around(&person(1), room, 3, 4).await.unwrap();
    assert_eq!(contents(&around), ["e", "d", "c", "b"]);
    assert_eq!(around[0].seq, Some(5));
}

#[tokio::test]
async fn the_same_client_id_names_one_message() {
    let harness = chat().await;
    let (room, other) = (harness.room_of(1, &[2]).await, harness.room_of(1, &[2]).await);
    let new = |content: &str| NewMessage { client_id: Some("c-1".into()), ..NewMessage::text(content) };
    let first = harness.send(&person(2), room, new("hi")).await.unwrap();
    let again = harness.send(&person(2), room, new("hi")).await.unwrap();
    assert_eq!((first.duplicate, again.duplicate, &again.message), (false, true, &first.message));
    assert_eq!(code(harness.send(&person(2), room, new("ho")).await), "idempotency_mismatch");
    assert_eq!(code(harness.send(&person(2), other, new("hi")).await), "idempotency_mismatch");
    assert!(!harness.send(&person(1), room, new("hi")).await.unwrap().duplicate);
    for bad in ["", "a b", "é", &"x".repeat(65)] {
        let new = NewMessage { client_id: Some(bad.into()), ..NewMessage::text("x") };
        assert_eq!(code(harness.send(&person(1), room, new).await), "invalid", "{bad}");
    }
}

#[tokio::test]
async fn a_repeated_message_has_the_same_reply_and_is_returned_to_participants_only() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let (first, second) = (harness.say(1, room, "a").await.id, harness.say(1, room, "b").await.id);
    let reply = |reply_to| NewMessage { client_id: Some("c-1".into()), reply_to, ..NewMessage::text("x") };
    harness.send(&person(2), room, reply(Some(first))).await.unwrap();
    assert!(harness.send(&person(2), room, reply(Some(first))).await.unwrap().duplicate);
    for other in [Some(second), None] {
        assert_eq!(code(harness.send(&person(2), room, reply(other)).await), "idempotency_mismatch");
    }
    harness.remove(&person(1), room, UserId(2)).await.unwrap();
    assert_eq!(code(harness.send(&person(2), room, reply(Some(first))).await), "not_participant");
}

#[tokio::test]
async fn a_reply_names_a_message_of_the_same_room() {
    let harness = chat().await;
    let (room, other) = (harness.room_of(1, &[]).await, harness.room_of(1, &[]).await);
    let first = harness.say(1, room, "first").await;
    let reply = || NewMessage { reply_to: Some(first.id), ..NewMessage::text("x") };
    assert_eq!(harness.send(&person(1), room, reply()).await.unwrap().message.reply_to, Some(first.id));
    assert_eq!(code(harness.send(&person(1), other, reply()).await), "invalid");
}

#[tokio::test]
async fn slow_mode_holds_for_all_but_moderators() {
    let harness = chat().await;
    let room = harness.room_with(1, &[2], NewRoom { slow_mode_seconds: 10, ..NewRoom::named("den") }).await;
    harness.say(2, room, "a").await;
    assert_eq!(code(harness.send(&person(2), room, NewMessage::text("b")).await), "slow_mode");
    harness.clock.advance(Duration::from_secs(10));
    harness.say(2, room, "b").await;
    harness.say(1, room, "c").await;
    harness.say(1, room, "d").await;
}

#[tokio::test]
async fn a_message_is_found_only_in_its_room() {
    let harness = chat().await;
    let (room, other) = (harness.room_of(1, &[]).await, harness.room_of(1, &[]).await);
    let message = harness.say(1, room, "x").await;
    assert_eq!(harness.message(&person(1), room, message.id).await.unwrap(), message);
    assert_eq!(code(harness.message(&person(1), other, message.id).await), "message_not_found");
    assert_eq!(code(harness.message(&person(2), room, message.id).await), "not_participant");
}
