use guildhall_kernel::UserId;
use guildhall_messaging::{Changes, ChosenPreferences, DeleteFor, MessageId, PreferencesPatch, Reading, Target};

use crate::harness::{Harness, code, messaging, person};

fn with(user: i64) -> Target {
    Target::User(UserId(user))
}

async fn unread(harness: &Harness, user: i64) -> i64 {
    let total = harness.unread_count(&person(user)).await.unwrap();
    let inbox = harness.inbox(user).await;
    assert_eq!(inbox.iter().map(|conversation| conversation.unread_count).sum::<i64>(), total);
    total
}

#[tokio::test]
async fn p36_marking_as_read_lowers_the_unread_count() {
    let harness = messaging().await;
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push(harness.say(1, 2, &n.to_string()).await.id);
    }
    harness.say(3, 2, "x").await;
    assert_eq!((unread(&harness, 2).await, unread(&harness, 1).await), (6, 0));
    harness.mark_read(&person(2), sent[1]).await.unwrap();
    assert_eq!(unread(&harness, 2).await, 4);
    // Monotonic: an earlier message changes nothing.
    harness.mark_read(&person(2), sent[0]).await.unwrap();
    assert_eq!(unread(&harness, 2).await, 4);
    harness.mark_conversation_read(&person(2), with(1), Some(sent[3])).await.unwrap();
    assert_eq!(unread(&harness, 2).await, 2);
    harness.mark_conversation_read(&person(2), with(1), None).await.unwrap();
    harness.mark_conversation_read(&person(2), with(3), None).await.unwrap();
    assert_eq!(unread(&harness, 2).await, 0);
    harness.say(1, 2, "again").await;
    assert_eq!(unread(&harness, 2).await, 1);
}

#[tokio::test]
async fn own_messages_are_not_unread_and_do_not_mark_those_of_others() {
    let harness = messaging().await;
    let first = harness.say(1, 2, "a").await;
    harness.say(2, 1, "b").await;
    harness.say(1, 2, "c").await;
    assert_eq!((unread(&harness, 2).await, unread(&harness, 1).await), (2, 1));
    harness.mark_read(&person(2), first.id).await.unwrap();
    assert_eq!(unread(&harness, 2).await, 1);
}

#[tokio::test]
async fn reading_the_history_marks_nothing_as_read() {
    let harness = messaging().await;
    harness.say(1, 2, "a").await;
    assert!(!harness.history(2, 1).await.messages[0].is_read);
    assert_eq!(unread(&harness, 2).await, 1);
    assert!(!harness.history(1, 2).await.messages[0].is_read);
}

#[tokio::test]
async fn p37_a_message_that_is_not_to_the_caller_cannot_be_marked() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "a").await.id;
    for user in [1, 3] {
        assert_eq!(code(harness.mark_read(&person(user), message).await), "message_not_found");
    }
    assert_eq!(code(harness.mark_read(&person(2), MessageId(4711)).await), "message_not_found");
    let foreign = harness.say(3, 4, "x").await.id;
    let marked = harness.mark_conversation_read(&person(2), with(1), Some(foreign)).await;
    assert_eq!(code(marked), "message_not_found");
    assert_eq!(unread(&harness, 2).await, 1);
}

#[tokio::test]
async fn a_conversation_without_messages_is_read() {
    let harness = messaging().await;
    harness.mark_conversation_read(&person(1), with(2), None).await.unwrap();
    assert_eq!(code(harness.mark_conversation_read(&person(1), with(5000), None).await), "user_not_found");
}

#[tokio::test]
async fn the_sender_sees_what_was_read_if_both_send_receipts() {
    let harness = messaging().await;
    let first = harness.say(1, 2, "a").await;
    harness.say(1, 2, "b").await;
    harness.mark_read(&person(2), first.id).await.unwrap();
    let is_read = async |user: i64, other: i64| -> Vec<bool> {
        harness.history(user, other).await.messages.iter().map(|message| message.is_read).collect()
    };
    assert_eq!(is_read(1, 2).await, [true, false]);
    let stream = format!("conversation/{}", first.conversation_id);
    assert_eq!(harness.event_types(&stream).await, ["message", "message", "read"]);
    for user in [1, 2] {
        let patch = |on| PreferencesPatch { sends_receipts: Some(on), ..PreferencesPatch::default() };
        harness.change_preferences(&person(user), patch(false)).await.unwrap();
        assert_eq!(is_read(1, 2).await, [false, false]);
        assert!(!harness.inbox(1).await[0].last_message.as_ref().unwrap().is_read);
        // The reader always sees what they have read.
        assert_eq!(is_read(2, 1).await, [true, false]);
        harness.change_preferences(&person(user), patch(true)).await.unwrap();
    }
    let no_receipts = PreferencesPatch { sends_receipts: Some(false), ..PreferencesPatch::default() };
    harness.change_preferences(&person(1), no_receipts).await.unwrap();
    harness.mark_conversation_read(&person(2), with(1), None).await.unwrap();
    assert_eq!(harness.event_types(&stream).await, ["message", "message", "read"]);
}

#[tokio::test]
async fn a_deleted_message_is_not_unread() {
    let harness = messaging().await;
    let first = harness.say(1, 2, "a").await;
    let second = harness.say(1, 2, "b").await;
    harness.say(1, 2, "c").await;
    harness.delete(&person(1), first.conversation_id, first.id, DeleteFor::Everyone).await.unwrap();
    assert_eq!(unread(&harness, 2).await, 2);
    harness.delete(&person(2), first.conversation_id, second.id, DeleteFor::Me).await.unwrap();
    assert_eq!(unread(&harness, 2).await, 1);
    harness.mark_conversation_read(&person(2), with(1), Some(first.id)).await.unwrap();
    assert_eq!(unread(&harness, 2).await, 1);
    harness.mark_conversation_read(&person(2), with(1), None).await.unwrap();
    assert_eq!(unread(&harness, 2).await, 0);
}
