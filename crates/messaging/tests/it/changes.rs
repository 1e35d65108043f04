use std::time::Duration;

use guildhall_kernel::IfMatch;
use guildhall_messaging::{
    Changes, ChosenPreferences, DeleteFor, Message, MessagePatch, Messages, PreferencesPatch, Reactions, Requests,
};

use crate::harness::{Harness, code, messaging, person};

fn patch(content: &str) -> MessagePatch {
    MessagePatch { content: content.into() }
}

async fn edit(harness: &Harness, user: i64, message: &Message, content: &str) -> String {
    let (conversation, id) = (message.conversation_id, message.id);
    code(harness.edit(&person(user), conversation, id, patch(content), IfMatch::default()).await)
}

async fn delete(harness: &Harness, user: i64, message: &Message, whom: DeleteFor) -> String {
    code(harness.delete(&person(user), message.conversation_id, message.id, whom).await)
}

#[tokio::test]
async fn p42_an_edit_reaches_the_other_side_and_keeps_the_earlier_content() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "helo").await;
    assert_eq!(edit(&harness, 1, &message, "hello").await, "ok");
    let seen = harness.history(2, 1).await.messages.remove(0);
    assert_eq!((seen.content.as_str(), seen.edited_at.is_some()), ("hello", true));
    let revisions = harness.revisions(&person(2), message.conversation_id, message.id).await.unwrap();
    assert_eq!(revisions.len(), 1);
    assert_eq!((revisions[0].content.as_str(), revisions[0].created_at), ("helo", message.timestamp));
    let events = harness.events(&format!("conversation/{}", message.conversation_id)).await;
    assert_eq!((&events[1]["type"], &events[1]["content"]), (&"message_edited".into(), &"hello".into()));
}

#[tokio::test]
async fn only_the_sender_edits_and_deletes_for_everybody() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "hello").await;
    assert_eq!(edit(&harness, 2, &message, "x").await, "not_sender");
    assert_eq!(delete(&harness, 2, &message, DeleteFor::Everyone).await, "not_sender");
    assert_eq!(edit(&harness, 3, &message, "x").await, "message_not_found");
    assert_eq!(delete(&harness, 3, &message, DeleteFor::Me).await, "message_not_found");
    let other = harness.say(1, 3, "x").await;
    let wrong = Message { conversation_id: other.conversation_id, ..message.clone() };
    assert_eq!(edit(&harness, 1, &wrong, "x").await, "message_not_found");
    assert_eq!(edit(&harness, 1, &message, " ").await, "invalid");
}

#[tokio::test]
async fn an_edit_of_another_version_is_refused() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "hello").await;
    let known = IfMatch::only(message.timestamp.into());
    let (conversation, id) = (message.conversation_id, message.id);
    harness.edit(&person(1), conversation, id, patch("b"), known.clone()).await.unwrap();
    assert_eq!(code(harness.edit(&person(1), conversation, id, patch("c"), known).await), "stale");
}

#[tokio::test]
async fn a_message_can_be_changed_for_a_day() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "hello").await;
    harness.clock.advance(Duration::from_secs(23 * 3600));
    assert_eq!(edit(&harness, 1, &message, "b").await, "ok");
    harness.clock.advance(Duration::from_secs(3601));
    assert_eq!(edit(&harness, 1, &message, "c").await, "too_late");
    assert_eq!(delete(&harness, 1, &message, DeleteFor::Everyone).await, "too_late");
    assert_eq!(delete(&harness, 1, &message, DeleteFor::Me).await, "ok");
}

#[tokio::test]
async fn nothing_is_left_of_a_message_that_was_deleted_for_everybody() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "my secret").await;
    edit(&harness, 1, &message, "my other secret").await;
    harness.react(&person(2), message.conversation_id, message.id, "👍".into()).await.unwrap();
    assert_eq!(delete(&harness, 1, &message, DeleteFor::Everyone).await, "ok");
    let seen = harness.history(2, 1).await.messages.remove(0);
    assert_eq!((seen.content.as_str(), seen.is_deleted, seen.reactions.len()), ("", true, 0));
    assert_eq!(harness.db.count_rows("messaging_revision").await, 0);
    let left = harness.db.query_texts("SELECT content FROM messaging_message").await;
    assert_eq!(left, [""]);
    assert_eq!(delete(&harness, 1, &message, DeleteFor::Everyone).await, "not_changeable");
    assert_eq!(edit(&harness, 1, &message, "x").await, "not_changeable");
    let types = harness.event_types(&format!("conversation/{}", message.conversation_id)).await;
    assert_eq!(types, ["hidden", "hidden", "hidden", "message_deleted"]);
    assert_eq!(harness.events_with("secret").await, [""; 0]);
}

#[tokio::test]
async fn edits_and_deletions_reach_the_streams_of_both_people() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "helo").await;
    edit(&harness, 1, &message, "hello").await;
    for user in [1, 2] {
        let event = harness.events(&format!("user/{user}")).await.remove(1);
        assert_eq!((&event["type"], &event["content"]), (&"message_edited".into(), &"hello".into()));
    }
    delete(&harness, 1, &message, DeleteFor::Everyone).await;
    for user in [1, 2] {
        let events = harness.events(&format!("user/{user}")).await;
        let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["hidden", "hidden", "message_deleted"]);
        assert_eq!(events[2]["message_id"], serde_json::json!(message.id));
        assert_eq!(events[2]["conversation_id"], serde_json::json!(message.conversation_id));
    }
}

#[tokio::test]
async fn a_deletion_is_not_sent_to_whoever_has_declined_the_conversation() {
    let harness = messaging().await;
    let patch = PreferencesPatch { accepts_requests_only: Some(true), ..PreferencesPatch::default() };
    harness.change_preferences(&person(2), patch).await.unwrap();
    let message = harness.say(1, 2, "hello").await;
    harness.decline(&person(2), message.conversation_id).await.unwrap();
    delete(&harness, 1, &message, DeleteFor::Everyone).await;
    assert_eq!(harness.event_types("user/2").await, ["hidden"]);
    assert_eq!(harness.event_types("user/1").await, ["hidden", "message_deleted"]);
}

#[tokio::test]
async fn a_message_deleted_for_one_person_stays_for_the_other() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "hello").await;
    assert_eq!(delete(&harness, 2, &message, DeleteFor::Me).await, "ok");
    assert!(harness.history(2, 1).await.messages.is_empty());
    assert_eq!(harness.history(1, 2).await.messages.len(), 1);
    let found = harness.message(&person(2), message.conversation_id, message.id).await;
    assert_eq!(code(found), "message_not_found");
}
