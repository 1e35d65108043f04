use std::time::Duration;

use guildhall_chat::{Leave, Messages, Mute, NewMessage, NewRoom, ParticipantState, Participants, Requests, Role};
use guildhall_kernel::{PageQuery, Timestamp, UserId};

use crate::harness::{Harness, INACTIVE, chat, code, of, person, staff};

async fn people(harness: &Harness, room: guildhall_chat::RoomId) -> Vec<(i64, Role)> {
    let page = harness.participants(&person(1), room, PageQuery::new(1, 20)).await.unwrap();
    page.results.into_iter().map(|one| (one.user.unwrap().id.0, one.role)).collect()
}

#[tokio::test]
async fn participants_see_each_other_in_the_order_in_which_they_joined() {
    let harness = chat().await;
    let room = harness.room_of(1, &[5, 2]).await;
    let expected = [(1, Role::Host), (5, Role::Member), (2, Role::Member)];
    assert_eq!(people(&harness, room).await, expected);
    let page = || PageQuery::new(1, 20);
    assert_eq!(code(harness.participants(&person(2), room, page()).await), "ok");
    assert_eq!(code(harness.participants(&staff(9), room, page()).await), "ok");
    assert_eq!(code(harness.participants(&person(3), room, page()).await), "not_participant");
}

#[tokio::test]
async fn an_invited_user_takes_part_at_once() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    assert_eq!(code(harness.invite(&person(2), room, UserId(3)).await), "not_moderator");
    assert_eq!(code(harness.invite(&person(4), room, UserId(4711)).await), "not_moderator");
    for unknown in [4711, INACTIVE] {
        assert_eq!(code(harness.invite(&person(1), room, UserId(unknown)).await), "user_not_found");
    }
    harness.ask(3, room).await;
    for _ in 0..2 {
        let invited = harness.invite(&person(1), room, UserId(3)).await.unwrap();
        assert_eq!((invited.state, invited.role), (ParticipantState::Active, Role::Member));
    }
    assert_eq!(harness.card(1, room).await.participant_count, 3);
    assert_eq!(code(harness.approve(&person(1), room, of(3)).await), "not_found");
}

#[tokio::test]
async fn a_removed_user_reads_and_sends_nothing_until_they_are_invited() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2, 3]).await;
    assert_eq!(code(harness.remove(&person(3), room, UserId(2)).await), "not_moderator");
    let removed = harness.remove(&person(1), room, UserId(2)).await.unwrap();
    assert_eq!((removed.state, removed.user.unwrap().id), (ParticipantState::Removed, UserId(2)));
    assert_eq!(harness.card(1, room).await.participant_count, 2);
    let history = harness.messages(&person(2), room, guildhall_kernel::CursorQuery::newest(5)).await;
    assert_eq!(code(history), "not_participant");
    assert_eq!(code(harness.send(&person(2), room, NewMessage::text("x")).await), "not_participant");
    assert_eq!(code(harness.remove(&person(1), room, UserId(2)).await), "not_found");
    assert_eq!(code(harness.remove(&person(1), room, UserId(4)).await), "not_found");
    assert_eq!(code(harness.remove(&person(1), room, UserId(1)).await), "is_host");
    harness.invite(&person(1), room, UserId(2)).await.unwrap();
    assert_eq!(harness.history(2, room).await.last().unwrap(), "person-2 joined.");
}

#[tokio::test]
async fn who_leaves_may_ask_again() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    harness.leave_room(2, room).await.unwrap();
    assert_eq!(code(harness.leave_room(2, room).await), "not_participant");
    assert_eq!(harness.card(1, room).await.participant_count, 1);
    assert_eq!(harness.history(1, room).await, ["person-2 joined.", "person-2 left."]);
    assert!(harness.join(&person(2), room).await.unwrap().is_new);
}

#[tokio::test]
async fn p57_a_room_closes_when_its_host_leaves() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    harness.leave_room(1, room).await.unwrap();
    let card = harness.card(2, room).await;
    assert!(!card.is_active && card.closed_at.is_some());
    assert_eq!(harness.history(2, room).await.last().unwrap(), "Host person-1 left. Room closed.");
    assert_eq!(code(harness.send(&person(2), room, NewMessage::text("x")).await), "room_closed");
    assert_eq!(harness.events(room).await.last().unwrap()["reason"], "host_left");
    harness.leave_room(2, room).await.unwrap();
    assert_eq!(code(harness.participants(&person(2), room, PageQuery::new(1, 20)).await), "not_participant");
    harness.leave_room(1, room).await.unwrap();
}

#[tokio::test]
async fn a_host_who_leaves_can_hand_the_room_over() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let to = |user| Leave { new_host_id: Some(UserId(user)) };
    assert_eq!(code(harness.leave(&person(1), room, to(3)).await), "not_found");
    assert_eq!(code(harness.leave(&person(1), room, to(4711)).await), "not_found");
    let missing = guildhall_chat::RoomId(4711);
    assert_eq!(code(harness.leave(&person(1), missing, to(4711)).await), "room_not_found", "no look-up before access");
    harness.leave(&person(1), room, to(2)).await.unwrap();
    let card = harness.card(2, room).await;
    assert_eq!((card.is_active, card.host.unwrap().id, card.participant_count), (true, UserId(2), 1));
    assert_eq!(card.my_role, Some(Role::Host));
    assert_eq!(code(harness.send(&person(1), room, NewMessage::text("x")).await), "not_participant");
}

#[tokio::test]
async fn a_muted_participant_reads_but_sends_nothing_for_a_while() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let mute = |user, minutes: u64| Mute {
        user_id: UserId(user),
        muted_until: Some(Timestamp::now() + Duration::from_secs(minutes * 60)),
    };
    assert_eq!(code(harness.mute(&person(2), room, mute(1, 5)).await), "not_moderator");
    assert_eq!(code(harness.mute(&person(1), room, mute(1, 5)).await), "is_host");
    assert_eq!(code(harness.mute(&person(1), room, mute(3, 5)).await), "not_found");
    assert!(harness.mute(&person(1), room, mute(2, 5)).await.unwrap().muted_until.is_some());
    assert_eq!(code(harness.send(&person(2), room, NewMessage::text("x")).await), "muted");
    assert_eq!(harness.events(room).await.last().unwrap()["type"], "member_muted");
    harness.leave_room(2, room).await.unwrap();
    harness.ask(2, room).await;
    harness.approve(&person(1), room, of(2)).await.unwrap();
    assert_eq!(code(harness.send(&person(2), room, NewMessage::text("x")).await), "muted");
    harness.clock.advance(Duration::from_secs(301));
    assert_eq!(code(harness.send(&person(2), room, NewMessage::text("x")).await), "ok");
    harness.mute(&person(1), room, mute(2, 60)).await.unwrap();
    let end = Mute { user_id: UserId(2), muted_until: None };
    assert_eq!(harness.mute(&person(1), room, end).await.unwrap().muted_until, None);
    assert_eq!(code(harness.send(&person(2), room, NewMessage::text("x")).await), "ok");
}

#[tokio::test]
async fn new_participants_may_see_nothing_from_before() {
    let harness = chat().await;
    let new = NewRoom { history_from_start: false, ..NewRoom::named("den") };
    let room = harness.room_with(1, &[], new).await;
    let secret = harness.say(1, room, "secret").await;
    harness.invite(&person(1), room, UserId(2)).await.unwrap();
    harness.say(1, room, "hello").await;
    assert_eq!(harness.history(2, room).await, ["person-2 joined.", "hello"]);
    assert_eq!(harness.history(1, room).await.len(), 3);
    assert_eq!(code(harness.message(&person(2), room, secret.id).await), "message_not_found");
    let reply = NewMessage { reply_to: Some(secret.id), ..NewMessage::text("x") };
    assert_eq!(code(harness.send(&person(2), room, reply).await), "invalid");
}
