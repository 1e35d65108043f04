use guildhall_kernel::{CursorQuery, UserId};
use guildhall_messaging::{
    ChosenPreferences, ConversationId, MemberState, Messages, NewMessage, PreferencesPatch, Reading, Requests, Target,
};

use crate::harness::{Harness, code, messaging, person, staff};

/// User 2 accepts requests only, and user 1 has written to them.
async fn requested() -> (Harness, ConversationId) {
    let harness = messaging().await;
    let only = PreferencesPatch { accepts_requests_only: Some(true), ..PreferencesPatch::default() };
    harness.change_preferences(&person(2), only).await.unwrap();
    let id = harness.say(1, 2, "may I?").await.conversation_id;
    (harness, id)
}

async fn requests(harness: &Harness) -> usize {
    harness.requests(&person(2), CursorQuery::newest(50)).await.unwrap().results.len()
}

#[tokio::test]
async fn a_conversation_that_has_to_be_accepted_is_not_in_the_inbox() {
    let (harness, id) = requested().await;
    assert_eq!((harness.inbox(2).await.len(), requests(&harness).await), (0, 1));
    assert_eq!(harness.unread_count(&person(2)).await.unwrap(), 0);
    assert_eq!(harness.event_types("user/2").await, ["message_request"]);
    // The sender does not see the difference.
    assert_eq!(harness.inbox(1).await[0].state, MemberState::Active);
    let accepted = harness.accept(&person(2), id).await.unwrap();
    assert_eq!((accepted.state, accepted.unread_count), (MemberState::Active, 1));
    assert_eq!((harness.inbox(2).await.len(), requests(&harness).await), (1, 0));
    assert_eq!(harness.unread_count(&person(2)).await.unwrap(), 1);
    assert_eq!(code(harness.accept(&person(2), id).await), "not_found");
}

#[tokio::test]
async fn to_reply_is_to_accept() {
    let (harness, _) = requested().await;
    harness.say(2, 1, "yes").await;
    assert_eq!((harness.inbox(2).await.len(), requests(&harness).await), (1, 0));
}

#[tokio::test]
async fn later_messages_do_not_reach_whoever_has_declined() {
    let (harness, id) = requested().await;
    harness.decline(&person(2), id).await.unwrap();
    assert_eq!(code(harness.decline(&person(2), id).await), "not_found");
    harness.say(1, 2, "please").await;
    assert_eq!((harness.inbox(2).await.len(), requests(&harness).await), (0, 0));
    assert_eq!(harness.unread_count(&person(2)).await.unwrap(), 0);
    assert_eq!(harness.event_types("user/2").await, ["message_request"]);
    harness.say(2, 1, "well").await;
    assert_eq!(harness.inbox(2).await.len(), 1);
    harness.say(1, 2, "thanks").await;
    assert_eq!(harness.unread_count(&person(2)).await.unwrap(), 1);
}

#[tokio::test]
async fn reading_a_request_sends_no_receipt() {
    let (harness, id) = requested().await;
    harness.mark_conversation_read(&person(2), Target::Conversation(id), None).await.unwrap();
    assert_eq!(harness.event_types(&format!("conversation/{id}")).await, ["message"]);
}

#[tokio::test]
async fn staff_need_no_request_and_old_conversations_stay() {
    let harness = messaging().await;
    harness.say(3, 2, "before").await;
    let only = PreferencesPatch { accepts_requests_only: Some(true), ..PreferencesPatch::default() };
    harness.change_preferences(&person(2), only).await.unwrap();
    harness.say(3, 2, "after").await;
    harness.send(&staff(4), Target::User(UserId(2)), NewMessage::text("official")).await.unwrap();
    assert_eq!((harness.inbox(2).await.len(), requests(&harness).await), (2, 0));
}

#[tokio::test]
async fn a_request_belongs_to_its_receiver() {
    let (harness, id) = requested().await;
    assert_eq!(code(harness.accept(&person(1), id).await), "not_found");
    assert_eq!(code(harness.accept(&person(3), id).await), "conversation_not_found");
}
