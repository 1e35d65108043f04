use std::time::Duration;

use guildhall_chat::{
    NewRoom, Participants, RequestId, RequestRef, RequestStatus, Requests, RoomFilter, RoomPatch, Rooms, Settings,
};
use guildhall_kernel::{IfMatch, PageQuery, UserId, job::Job};

use crate::harness::{chat, chat_with, code, of, person, staff};

#[tokio::test]
async fn p47_p48_a_request_waits_and_is_made_once() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    let first = harness.join(&person(2), room).await.unwrap();
    assert_eq!((first.is_new, first.request.status), (true, RequestStatus::Pending));
    let again = harness.join(&person(2), room).await.unwrap();
    assert_eq!((again.is_new, &again.request), (false, &first.request));
    assert!(!harness.card(2, room).await.is_participant);
    let page = harness.requests(&person(1), room, PageQuery::new(1, 20)).await.unwrap();
    assert_eq!((page.results, page.count), (vec![first.request], 1));
}

#[tokio::test]
async fn p49_an_approved_user_takes_part_and_the_room_is_notified() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    harness.ask(2, room).await;
    let approved = harness.approve(&person(1), room, of(2)).await.unwrap();
    assert_eq!((approved.status, approved.user.unwrap().id), (RequestStatus::Approved, UserId(2)));
    let card = harness.card(2, room).await;
    assert_eq!((card.is_participant, card.participant_count, card.last_seq), (true, 2, 1));
    assert_eq!(harness.history(2, room).await, ["person-2 joined."]);
    let event = &harness.events(room).await[0];
    assert_eq!((&event["message_type"], &event["event"]), (&"system".into(), &"member_joined".into()));
    assert_eq!((&event["sender"], &event["user"]["id"]), (&serde_json::Value::Null, &2.into()));
}

#[tokio::test]
async fn p50_p51_a_request_is_decided_once() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    let request = harness.ask(2, room).await;
    let by_id = RequestRef { request_id: Some(request.id), user_id: None };
    assert_eq!(harness.deny(&person(1), room, by_id).await.unwrap().status, RequestStatus::Denied);
    assert_eq!(code(harness.approve(&person(1), room, by_id).await), "not_found");
    harness.ask(2, room).await;
    harness.approve(&person(1), room, of(2)).await.unwrap();
    assert_eq!(code(harness.approve(&person(1), room, of(2)).await), "not_found");
    assert_eq!(code(harness.deny(&person(1), room, of(3)).await), "not_found");
    let unknown = RequestRef { request_id: Some(RequestId(4711)), user_id: None };
    assert_eq!(code(harness.deny(&person(1), room, unknown).await), "not_found");
    assert_eq!(code(harness.deny(&person(1), room, RequestRef::default()).await), "invalid");
    assert_eq!(code(harness.approve(&person(1), room, RequestRef::default()).await), "invalid");
}

#[tokio::test]
async fn a_request_of_another_room_is_not_found() {
    let harness = chat().await;
    let (room, other) = (harness.room_of(1, &[]).await, harness.room_of(1, &[]).await);
    let request = harness.ask(2, other).await;
    let by_id = RequestRef { request_id: Some(request.id), user_id: None };
    assert_eq!(code(harness.approve(&person(1), room, by_id).await), "not_found");
    let mismatch = RequestRef { user_id: Some(UserId(3)), ..by_id };
    assert_eq!(code(harness.approve(&person(1), other, mismatch).await), "not_found");
}

#[tokio::test]
async fn only_moderators_see_and_decide_requests() {
    let harness = chat().await;
    let room = harness.room_of(1, &[3]).await;
    harness.ask(2, room).await;
    for outsider in [2, 3, 4] {
        let caller = person(outsider);
        assert_eq!(code(harness.requests(&caller, room, PageQuery::new(1, 20)).await), "not_moderator");
        assert_eq!(code(harness.approve(&caller, room, of(2)).await), "not_moderator");
        assert_eq!(code(harness.deny(&caller, room, of(2)).await), "not_moderator");
    }
    assert_eq!(code(harness.approve(&staff(9), room, of(2)).await), "ok");
}

#[tokio::test]
async fn participants_the_host_and_removed_users_cannot_ask() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2, 3]).await;
    harness.remove(&person(1), room, UserId(3)).await.unwrap();
    for (user, expected) in [(1, "already_participant"), (2, "already_participant"), (3, "removed")] {
        assert_eq!(code(harness.join(&person(user), room).await), expected);
    }
    harness.close_room(&person(1), room).await.unwrap();
    assert_eq!(code(harness.join(&person(4), room).await), "room_closed");
    assert_eq!(code(harness.approve(&person(1), room, of(4)).await), "room_closed");
    assert_eq!(code(harness.join(&person(4), guildhall_chat::RoomId(4711)).await), "room_not_found");
}

#[tokio::test]
async fn p52_a_full_room_takes_nobody() {
    let harness = chat().await;
    let room = harness.room_with(1, &[], NewRoom { max_participants: 2, ..NewRoom::named("den") }).await;
    harness.ask(2, room).await;
    harness.ask(3, room).await;
    harness.approve(&person(1), room, of(2)).await.unwrap();
    assert_eq!(code(harness.approve(&person(1), room, of(3)).await), "room_full");
    assert_eq!(code(harness.join(&person(4), room).await), "room_full");
    assert_eq!(code(harness.invite(&person(1), room, UserId(4)).await), "room_full");
    assert!(!harness.join(&person(3), room).await.unwrap().is_new);
    harness.leave_room(2, room).await.unwrap();
    assert_eq!(code(harness.approve(&person(1), room, of(3)).await), "ok");
    assert_eq!(harness.card(1, room).await.participant_count, 2);
}

#[tokio::test]
async fn p53_a_room_that_approves_everybody_is_joined_at_once() {
    let harness = chat().await;
    let room = harness.room_with(1, &[], NewRoom { auto_approve: true, ..NewRoom::named("den") }).await;
    let joined = harness.join(&person(2), room).await.unwrap();
    assert_eq!((joined.is_new, joined.request.status), (true, RequestStatus::Approved));
    assert!(harness.card(2, room).await.is_participant);
}

#[tokio::test]
async fn who_waits_when_a_room_begins_to_approve_everybody_joins_by_asking_again() {
    let harness = chat_with(1, Settings { pending_requests: 1, ..Settings::default().without_limits() }).await;
    let room = harness.room_of(1, &[]).await;
    let request = harness.ask(2, room).await;
    let patch = RoomPatch { auto_approve: Some(true), ..RoomPatch::default() };
    harness.change_room(&person(1), room, patch, IfMatch::default()).await.unwrap();
    // Requests that wait do not count, because this one does not wait.
    assert_eq!(harness.ask(3, room).await.status, RequestStatus::Approved);
    let joined = harness.join(&person(2), room).await.unwrap();
    assert_eq!((joined.is_new, joined.request.id), (false, request.id));
    assert_eq!(joined.request.status, RequestStatus::Approved);
    assert_eq!(harness.history(2, room).await, ["person-3 joined.", "person-2 joined."]);
    assert_eq!(harness.card(1, room).await.participant_count, 3);
    assert_eq!(code(harness.join(&person(2), room).await), "already_participant");
}

#[tokio::test]
async fn a_request_can_be_withdrawn_and_made_again() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    assert_eq!(code(harness.withdraw(&person(2), room).await), "not_found");
    harness.ask(2, room).await;
    harness.withdraw(&person(2), room).await.unwrap();
    assert_eq!(code(harness.approve(&person(1), room, of(2)).await), "not_found");
    assert!(harness.join(&person(2), room).await.unwrap().is_new);
    harness.leave_room(2, room).await.unwrap();
    assert_eq!(code(harness.leave_room(2, room).await), "not_participant");
}

#[tokio::test]
async fn after_a_refusal_one_has_to_wait() {
    let settings = Settings { request_cooldown_seconds: 60, ..Settings::default().without_limits() };
    let harness = chat_with(1, settings).await;
    let room = harness.room_of(1, &[]).await;
    assert_eq!(harness.own_request(&person(2), room).await.unwrap(), None);
    let request = harness.ask(2, room).await;
    let own = harness.own_request(&person(2), room).await.unwrap().unwrap();
    assert_eq!((own.request, own.may_ask_again_at), (request, None));
    let denied = harness.deny(&person(1), room, of(2)).await.unwrap();
    assert_eq!(code(harness.join(&person(2), room).await), "requested_too_soon");
    let own = harness.own_request(&person(2), room).await.unwrap().unwrap();
    assert_eq!(own.may_ask_again_at, denied.decided_at.map(|refused| refused + Duration::from_secs(60)));
    assert_eq!(own.request, denied);
    assert_eq!(harness.own_request(&person(3), room).await.unwrap(), None, "it is somebody else's");
    harness.clock.advance(Duration::from_secs(61));
    assert_eq!(code(harness.join(&person(2), room).await), "ok");
}

#[tokio::test]
async fn the_number_of_waiting_requests_is_limited() {
    let harness = chat_with(1, Settings { pending_requests: 2, ..Settings::default().without_limits() }).await;
    let room = harness.room_of(1, &[]).await;
    harness.ask(2, room).await;
    harness.ask(3, room).await;
    assert_eq!(code(harness.join(&person(4), room).await), "too_many_requests");
}

#[tokio::test]
async fn requests_expire_with_time_and_with_the_room() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    harness.ask(2, room).await;
    harness.clock.advance(Duration::from_secs(31 * 24 * 3600));
    harness.ask(3, room).await;
    Job::run(&harness.chat).await.unwrap();
    let waiting = async || {
        let page = harness.requests(&person(1), room, PageQuery::new(1, 20)).await.unwrap();
        page.results.into_iter().map(|request| request.user.unwrap().id.0).collect::<Vec<_>>()
    };
    assert_eq!(waiting().await, [3]);
    harness.close_room(&person(1), room).await.unwrap();
    assert_eq!(waiting().await, [0; 0]);
    assert!(harness.rooms(&person(1), RoomFilter::default(), PageQuery::new(1, 20)).await.unwrap().results.is_empty());
}
