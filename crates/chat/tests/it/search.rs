use std::time::Duration;

use guildhall_chat::{Changes, NewRoom, Participants, RoomId, Search};
use guildhall_kernel::{CursorQuery, UserId};

use crate::harness::{Harness, chat, code, person};

async fn found(harness: &Harness, user: i64, text: &str, room: Option<RoomId>) -> Vec<String> {
    let page = harness.search_messages(&person(user), text.to_owned(), room, CursorQuery::newest(10)).await.unwrap();
    page.results.into_iter().map(|message| message.content).collect()
}

#[tokio::test]
async fn only_messages_of_own_rooms_are_found() {
    let harness = chat().await;
    let (room, other) = (harness.room_of(1, &[2]).await, harness.room_of(1, &[2, 3]).await);
    harness.say(1, room, "Rust in the den").await;
    harness.say(1, other, "rusty things").await;
    assert_eq!(found(&harness, 2, "rus", None).await, ["rusty things", "Rust in the den"]);
    assert_eq!(found(&harness, 2, "rust den", None).await, ["Rust in the den"]);
    assert_eq!(found(&harness, 2, "rust", Some(room)).await, ["Rust in the den"]);
    assert_eq!(found(&harness, 3, "rust", None).await, ["rusty things"]);
    assert_eq!(found(&harness, 4, "rust", None).await, [""; 0]);
    assert_eq!(found(&harness, 2, "joined", None).await, [""; 0]);
    let foreign = harness.search_messages(&person(3), "rust".into(), Some(room), CursorQuery::newest(10)).await;
    assert_eq!(code(foreign), "not_participant");
    // A text that looks like the scope of another room does not lead there.
    harness.say(1, room, &format!("zqr{other} secret")).await;
    assert_eq!(found(&harness, 3, "secret", None).await, [""; 0]);
    assert_eq!(found(&harness, 2, "secret", Some(other)).await, [""; 0]);
}

#[tokio::test]
async fn the_200_rooms_that_were_joined_most_recently_are_searched() {
    let harness = chat().await;
    let first = harness.room_of(1, &[]).await;
    let second = harness.room_of(1, &[2]).await;
    for _ in 0..199 {
        harness.clock.advance(Duration::from_secs(1));
        harness.room_of(1, &[2]).await;
    }
    harness.say(1, first, "apple in the first").await;
    harness.say(1, second, "apple in the second").await;
    assert_eq!(found(&harness, 2, "apple", None).await, ["apple in the second"]);
    harness.clock.advance(Duration::from_secs(1));
    harness.invite(&person(1), first, UserId(2)).await.unwrap();
    assert_eq!(found(&harness, 2, "apple", None).await, ["apple in the first"]);
}

#[tokio::test]
async fn what_is_hidden_or_deleted_is_not_found() {
    let harness = chat().await;
    let room = harness.room_with(1, &[], NewRoom { history_from_start: false, ..NewRoom::named("den") }).await;
    harness.say(1, room, "apple before").await;
    harness.invite(&person(1), room, UserId(2)).await.unwrap();
    let deleted = harness.say(1, room, "apple deleted").await;
    harness.say(1, room, "apple after").await;
    harness.delete(&person(1), room, deleted.id).await.unwrap();
    assert_eq!(found(&harness, 2, "apple", None).await, ["apple after"]);
    assert_eq!(found(&harness, 1, "apple", None).await, ["apple after", "apple before"]);
    harness.remove(&person(1), room, UserId(2)).await.unwrap();
    assert_eq!(found(&harness, 2, "apple", None).await, [""; 0]);
}
