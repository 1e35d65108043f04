use guildhall_chat::{Audits, Messages, Participants, Pins, Reactions, Removal, Rooms, verify_export};
use guildhall_kernel::{CursorQuery, PageQuery, UserId, UserRemoval};
use guildhall_realtime::Next;
use sea_orm::ConnectionTrait;

use crate::harness::{Harness, chat, code, person};

/// Removes a user; their row stays if only the account is emptied.
async fn remove(harness: &Harness, user: i64, deletes_row: bool) {
    let removal = &Removal::new(harness);
    harness
        .db
        .write(|tx| async move {
            removal.release(&tx, UserId(user), None).await.unwrap();
            if deletes_row {
                tx.execute_unprepared(&format!("DELETE FROM people WHERE id = {user}")).await?;
            }
            assert!(!removal.is_used(&tx, UserId(user)).await.unwrap());
            Ok::<_, sea_orm::DbErr>(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn rooms_of_a_removed_host_close() {
    for deletes_row in [true, false] {
        let harness = chat().await;
        let room = harness.room_of(1, &[2]).await;
        let mut follower = harness.follow(2, room).await.unwrap();
        remove(&harness, 1, deletes_row).await;
        let card = harness.card(2, room).await;
        assert_eq!((card.is_active, card.host, card.participant_count), (false, None, 1));
        assert_eq!(harness.history(2, room).await.last().unwrap(), "The host's account was deleted. Room closed.");
        while let Next::Deliver(_) = follower.poll(64) {}
        assert!(matches!(follower.poll(64), Next::Ended) && follower.is_closed());
        assert!(harness.examine(false).await.unwrap().iter().all(|finding| !finding.is_error()));
    }
}

#[tokio::test]
async fn messages_of_a_removed_user_stay_without_a_sender() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let message = harness.say(2, room, "bye").await;
    let own = harness.say(1, room, "hi").await;
    harness.react(&person(2), room, own.id, "👍".into()).await.unwrap();
    harness.pin(&person(1), room, message.id).await.unwrap();
    remove(&harness, 2, true).await;
    let shown = harness.message(&person(1), room, message.id).await.unwrap();
    assert_eq!((shown.content.as_str(), shown.sender, shown.is_pinned), ("bye", None, true));
    assert!(harness.message(&person(1), room, own.id).await.unwrap().reactions.is_empty());
    assert_eq!(harness.card(1, room).await.participant_count, 1);
    assert_eq!(harness.history(1, room).await.last().unwrap(), "A deleted user left.");
    let people = harness.participants(&person(1), room, PageQuery::new(1, 20)).await.unwrap();
    assert_eq!(people.count, 1);
    let part = harness.export(&person(1), room, 0, None).await.unwrap();
    let mut text = serde_json::to_string(&part.header).unwrap() + "\n";
    part.events.iter().for_each(|event| text += &(serde_json::to_string(event).unwrap() + "\n"));
    assert!(verify_export(text.as_bytes()).is_ok(), "the chain stays valid");
}

#[tokio::test]
async fn a_user_who_has_left_or_asks_leaves_nothing_behind() {
    let harness = chat().await;
    let (room, closed) = (harness.room_of(1, &[2]).await, harness.room_of(1, &[3]).await);
    harness.leave_room(2, room).await.unwrap();
    harness.ask(2, closed).await;
    harness.close_room(&person(1), closed).await.unwrap();
    remove(&harness, 2, true).await;
    remove(&harness, 3, true).await;
    assert_eq!(harness.card(1, closed).await.participant_count, 1);
    assert_eq!(code(harness.messages(&person(3), closed, CursorQuery::newest(1)).await), "not_participant");
}

#[tokio::test]
async fn the_export_of_a_user_contains_their_rooms_and_messages() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    harness.say(2, room, "mine").await;
    harness.say(1, room, "theirs").await;
    let snapshot = harness.db.snapshot().await.unwrap();
    let (name, data) = Removal::new(&harness).export(&snapshot, UserId(2)).await.unwrap();
    assert_eq!((name, data["messages"].as_array().unwrap().len()), ("chat", 1));
    assert_eq!((&data["messages"][0]["content"], &data["rooms"][0]["name"]), (&"mine".into(), &"den".into()));
}
