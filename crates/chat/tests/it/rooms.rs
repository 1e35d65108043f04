use guildhall_chat::{NewRoom, RoomFilter, RoomPatch, Rooms};
use guildhall_kernel::{Caller, IfMatch, PageQuery, Roles, UserId};

use crate::harness::{Harness, chat, code, person, staff, teacher};

async fn names(harness: &Harness, user: i64, filter: RoomFilter) -> Vec<String> {
    let page = harness.rooms(&person(user), filter, PageQuery::new(1, 20)).await.unwrap();
    page.results.into_iter().map(|room| room.name).collect()
}

#[tokio::test]
async fn p46_only_teachers_and_superusers_open_rooms() {
    let harness = chat().await;
    let superuser = Caller::new(UserId(3), Roles { superuser: true, ..Roles::default() });
    for (caller, expected) in
        [(person(1), "not_a_teacher"), (staff(1), "not_a_teacher"), (teacher(1), "ok"), (superuser, "ok")]
    {
        assert_eq!(code(harness.open_room(&caller, NewRoom::named("den")).await), expected);
    }
}

#[tokio::test]
async fn the_host_of_a_new_room_is_its_first_participant() {
    let harness = chat().await;
    let room = harness.open_room(&teacher(1), NewRoom::named(" den ")).await.unwrap();
    assert_eq!((room.name.as_str(), room.is_active, room.participant_count), ("den", true, 1));
    assert_eq!((room.host.unwrap().id, room.is_participant, room.last_seq), (UserId(1), true, 0));
    assert!(!harness.card(2, room.id).await.is_participant);
}

#[tokio::test]
async fn the_input_of_a_room_is_limited() {
    let harness = chat().await;
    let named = |name: &str| NewRoom::named(name);
    for new in [
        named(""),
        named(" "),
        named(&"x".repeat(101)),
        named("a\nb"),
        NewRoom { description: "x".repeat(2001), ..named("a") },
        NewRoom { max_participants: 1, ..named("a") },
        NewRoom { max_participants: 10_001, ..named("a") },
        NewRoom { slow_mode_seconds: 3601, ..named("a") },
        NewRoom { slow_mode_seconds: -1, ..named("a") },
    ] {
        assert_eq!(code(harness.open_room(&teacher(1), new).await), "invalid");
    }
    let largest = NewRoom { max_participants: 10_000, ..named(&"x".repeat(100)) };
    assert_eq!(code(harness.open_room(&teacher(1), largest).await), "ok");
}

#[tokio::test]
async fn the_list_has_active_listed_rooms_newest_first() {
    let harness = chat().await;
    for name in ["a", "b", "c"] {
        harness.room_with(1, &[], NewRoom::named(name)).await;
    }
    let unlisted = NewRoom { is_listed: false, ..NewRoom::named("hidden") };
    let hidden = harness.room_with(2, &[3], unlisted).await;
    let closed = harness.room_with(2, &[3], NewRoom::named("closed")).await;
    harness.close_room(&person(2), closed).await.unwrap();
    assert_eq!(names(&harness, 3, RoomFilter::default()).await, ["c", "b", "a"]);
    assert_eq!(names(&harness, 3, RoomFilter { joined: true, closed: false }).await, ["hidden"]);
    assert_eq!(names(&harness, 3, RoomFilter { joined: false, closed: true }).await, ["closed"]);
    assert_eq!(names(&harness, 4, RoomFilter { joined: false, closed: true }).await, [""; 0]);
    assert_eq!(harness.card(4, hidden).await.name, "hidden");
}

#[tokio::test]
async fn only_the_host_and_staff_change_a_room() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2, 3]).await;
    let patch = |name: &str| RoomPatch { name: Some(name.into()), ..RoomPatch::default() };
    assert_eq!(code(harness.change_room(&person(2), room, patch("x"), IfMatch::default()).await), "not_host");
    assert_eq!(code(harness.change_room(&person(4), room, patch("x"), IfMatch::default()).await), "not_host");
    let before = harness.card(1, room).await;
    let changed = harness.change_room(&person(1), room, patch("new"), IfMatch::default()).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.last_seq), ("new", before.last_seq + 1));
    assert_eq!(harness.events(room).await.last().unwrap()["type"], "room_changed");
    let stale = IfMatch::only(before.created_at.into());
    harness.clock.advance(std::time::Duration::from_secs(1));
    harness.change_room(&staff(9), room, patch("newer"), IfMatch::default()).await.unwrap();
    assert_eq!(code(harness.change_room(&person(1), room, patch("x"), stale).await), "stale");
    let few = RoomPatch { max_participants: Some(2), ..RoomPatch::default() };
    assert_eq!(code(harness.change_room(&person(1), room, few, IfMatch::default()).await), "invalid");
    harness.close_room(&person(1), room).await.unwrap();
    assert_eq!(code(harness.change_room(&person(1), room, patch("x"), IfMatch::default()).await), "room_closed");
}

#[tokio::test]
async fn a_change_without_effect_is_no_event() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    let patch = RoomPatch { name: Some("den".into()), ..RoomPatch::default() };
    let changed = harness.change_room(&person(1), room, patch, IfMatch::default()).await.unwrap();
    assert_eq!(changed.last_seq, 0);
}

#[tokio::test]
async fn a_closed_room_is_known_only_to_its_participants() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    assert_eq!(code(harness.close_room(&person(2), room).await), "not_host");
    harness.close_room(&person(1), room).await.unwrap();
    harness.close_room(&person(1), room).await.unwrap();
    let card = harness.card(2, room).await;
    assert!(!card.is_active && card.closed_at.is_some());
    assert_eq!(code(harness.room(&person(3), room).await), "room_not_found");
    assert_eq!(code(harness.room(&person(3), guildhall_chat::RoomId(4711)).await), "room_not_found");
    let events = harness.events(room).await;
    let [.., message, closed] = &events[..] else { panic!("two events") };
    assert_eq!((&message["event"], &message["content"]), (&"room_closed".into(), &"Room closed.".into()));
    assert_eq!((&closed["type"], &closed["reason"]), (&"room_closed".into(), &"closed".into()));
}
