use guildhall_chat::{Messages, NewMessage, NewRoom, Participants, Requests, Rooms, Settings};
use guildhall_kernel::UserId;

use crate::harness::{chat_with, code, person, teacher};

#[tokio::test]
async fn a_user_sends_a_limited_number_of_messages_to_a_room_at_once() {
    let settings = Settings { send_burst: 3, sends_per_second: 1, ..Settings::default() };
    let harness = chat_with(1, settings).await;
    let (room, other) = (harness.room_of(1, &[2]).await, harness.room_of(1, &[2]).await);
    let send = async |from, room| code(harness.send(&person(from), room, NewMessage::text("x")).await);
    let mut outcomes = Vec::new();
    for _ in 0..30 {
        outcomes.push(send(1, room).await);
    }
    assert_eq!(outcomes[..3], ["ok", "ok", "ok"]);
    assert!(outcomes.contains(&"rate_limited".to_owned()));
    assert_eq!((send(2, room).await, send(1, other).await), ("ok".into(), "ok".into()));
}

#[tokio::test]
async fn a_user_opens_a_limited_number_of_rooms_and_invites_a_limited_number_of_people() {
    let harness = chat_with(1, Settings { rooms_per_day: 2, invites_per_day: 2, ..Settings::default() }).await;
    let room = harness.room_of(1, &[2, 3]).await;
    assert_eq!(code(harness.invite(&person(1), room, UserId(4)).await), "quota_exceeded");
    assert_eq!(code(harness.invite(&person(1), room, UserId(3)).await), "ok");
    harness.room_of(1, &[]).await;
    assert_eq!(code(harness.open_room(&teacher(1), NewRoom::named("x")).await), "quota_exceeded");
    assert_eq!(harness.db.count_rows("chat_room").await, 2);
}

#[tokio::test]
async fn a_user_asks_to_join_a_limited_number_of_times_a_day() {
    let harness = chat_with(1, Settings { requests_per_day: 3, ..Settings::default() }).await;
    let room = harness.room_of(1, &[]).await;
    let open = harness.room_with(1, &[], NewRoom { auto_approve: true, ..NewRoom::named("open") }).await;
    for _ in 0..2 {
        harness.ask(2, room).await;
        harness.ask(2, room).await;
        harness.withdraw(&person(2), room).await.unwrap();
    }
    harness.ask(2, open).await;
    harness.leave_room(2, open).await.unwrap();
    for refused in [room, open] {
        assert_eq!(code(harness.join(&person(2), refused).await), "quota_exceeded");
    }
    assert_eq!(code(harness.join(&person(3), open).await), "ok");
}
