use guildhall_chat::{Hosts, Leave, Participants, Requests, Role, Rooms};
use guildhall_kernel::UserId;

use crate::harness::{INACTIVE, chat, code, of, person, staff};

#[tokio::test]
async fn a_cohost_moderates_but_is_not_the_host() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2, 3, 4]).await;
    assert_eq!(code(harness.add_cohost(&person(2), room, UserId(3)).await), "not_host");
    assert_eq!(code(harness.add_cohost(&person(1), room, UserId(5)).await), "not_found");
    assert_eq!(code(harness.add_cohost(&person(1), room, UserId(1)).await), "is_host");
    harness.add_cohost(&person(1), room, UserId(2)).await.unwrap();
    harness.add_cohost(&person(1), room, UserId(3)).await.unwrap();
    assert_eq!(harness.card(2, room).await.my_role, Some(Role::CoHost));
    assert_eq!(harness.events(room).await.last().unwrap()["role"], "cohost");
    harness.ask(6, room).await;
    assert_eq!(code(harness.approve(&person(2), room, of(6)).await), "ok");
    assert_eq!(code(harness.remove(&person(2), room, UserId(4)).await), "ok");
    assert_eq!(code(harness.remove(&person(2), room, UserId(3)).await), "not_host");
    assert_eq!(code(harness.remove(&person(2), room, UserId(1)).await), "is_host");
    assert_eq!(code(harness.close_room(&person(2), room).await), "not_host");
    assert_eq!(code(harness.remove(&person(1), room, UserId(3)).await), "ok");
    harness.remove_cohost(&person(1), room, UserId(2)).await.unwrap();
    assert_eq!(code(harness.remove(&person(2), room, UserId(6)).await), "not_moderator");
}

#[tokio::test]
async fn a_room_has_at_most_20_cohosts() {
    let harness = chat().await;
    let people: Vec<i64> = (2..=23).collect();
    let room = harness.room_of(1, &people).await;
    for user in 2..=21 {
        harness.add_cohost(&person(1), room, UserId(user)).await.unwrap();
    }
    assert_eq!(code(harness.add_cohost(&person(1), room, UserId(22)).await), "too_many_cohosts");
    assert_eq!(code(harness.add_cohost(&person(1), room, UserId(21)).await), "ok");
    let handed = harness.hand_over(&person(1), room, UserId(22)).await.unwrap();
    assert_eq!(handed.my_role, Some(Role::Member), "the former host is not the 21st");
    harness.hand_over(&person(22), room, UserId(2)).await.unwrap();
    assert_eq!(harness.card(22, room).await.my_role, Some(Role::CoHost));
    harness.remove_cohost(&person(2), room, UserId(3)).await.unwrap();
    assert_eq!(code(harness.add_cohost(&person(2), room, UserId(23)).await), "ok");
}

#[tokio::test]
async fn a_user_whose_account_is_not_active_does_not_become_the_host() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let move_part = format!("UPDATE chat_participant SET user_id = {INACTIVE} WHERE user_id = 2");
    harness.db.sql(&move_part).await.unwrap();
    assert_eq!(code(harness.hand_over(&person(1), room, UserId(INACTIVE)).await), "not_found");
    let how = Leave { new_host_id: Some(UserId(INACTIVE)) };
    assert_eq!(code(harness.leave(&person(1), room, how).await), "not_found");
    assert_eq!(harness.card(1, room).await.my_role, Some(Role::Host));
}

#[tokio::test]
async fn an_event_reports_a_role_once() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    for _ in 0..2 {
        harness.add_cohost(&person(1), room, UserId(2)).await.unwrap();
    }
    assert_eq!(harness.card(1, room).await.last_seq, 2);
}

#[tokio::test]
async fn a_room_is_handed_over_to_a_participant() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    assert_eq!(code(harness.hand_over(&person(2), room, UserId(2)).await), "not_host");
    assert_eq!(code(harness.hand_over(&person(1), room, UserId(3)).await), "not_found");
    let handed = harness.hand_over(&person(1), room, UserId(2)).await.unwrap();
    assert_eq!((handed.host.unwrap().id, handed.my_role), (UserId(2), Some(Role::CoHost)));
    assert_eq!(harness.history(1, room).await.last().unwrap(), "person-2 is the host now.");
    harness.leave_room(1, room).await.unwrap();
    assert!(harness.card(2, room).await.is_active);
    assert_eq!(code(harness.hand_over(&staff(9), room, UserId(2)).await), "ok");
    harness.leave_room(2, room).await.unwrap();
    assert!(!harness.card(2, room).await.is_active);
}
