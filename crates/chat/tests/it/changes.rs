use std::time::Duration;

use guildhall_chat::{Changes, MessagePatch, Messages, Pins, Reactions};
use guildhall_kernel::IfMatch;

use crate::harness::{chat, code, person, staff};

fn to(content: &str) -> MessagePatch {
    MessagePatch { content: content.to_owned() }
}

#[tokio::test]
async fn a_sender_edits_a_message_and_its_earlier_contents_remain() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let message = harness.say(2, room, "first").await;
    let edit =
        async |user, content| harness.edit(&person(user), room, message.id, to(content), IfMatch::default()).await;
    assert_eq!(code(edit(1, "x").await), "not_sender");
    assert_eq!(code(edit(3, "x").await), "not_participant");
    assert_eq!(code(edit(2, "").await), "invalid");
    let edited = edit(2, "second").await.unwrap();
    assert_eq!((edited.content.as_str(), edited.seq, edited.edited_at.is_some()), ("second", Some(2), true));
    edit(2, "second").await.unwrap();
    edit(2, "third").await.unwrap();
    let revisions = harness.revisions(&person(1), room, message.id).await.unwrap();
    let contents: Vec<_> = revisions.iter().map(|revision| (revision.seq, revision.content.as_str())).collect();
    assert_eq!(contents, [(2, "first"), (3, "second")]);
    let event = harness.events(room).await.pop().unwrap();
    assert_eq!((&event["type"], &event["content"]), (&"message_edited".into(), &"third".into()));
    assert_eq!(harness.card(1, room).await.last_seq, 4);
}

#[tokio::test]
async fn a_message_is_edited_for_some_time_and_in_its_latest_version() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    let message = harness.say(1, room, "x").await;
    let stale = IfMatch::only((message.timestamp + Duration::from_secs(1)).into());
    assert_eq!(code(harness.edit(&person(1), room, message.id, to("y"), stale).await), "stale");
    harness.clock.advance(Duration::from_secs(25 * 3600));
    assert_eq!(code(harness.edit(&person(1), room, message.id, to("y"), IfMatch::default()).await), "too_late");
}

#[tokio::test]
async fn a_deleted_message_has_no_content_left() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2, 3]).await;
    let message = harness.say(2, room, "a secret").await;
    harness.edit(&person(2), room, message.id, to("a worse secret"), IfMatch::default()).await.unwrap();
    harness.react(&person(1), room, message.id, "👍".into()).await.unwrap();
    harness.pin(&person(1), room, message.id).await.unwrap();
    assert_eq!(code(harness.delete(&person(3), room, message.id).await), "not_sender");
    harness.delete(&person(2), room, message.id).await.unwrap();
    let deleted = harness.message(&person(1), room, message.id).await.unwrap();
    assert_eq!((deleted.content.as_str(), deleted.is_deleted, deleted.is_pinned), ("", true, false));
    assert!(deleted.reactions.is_empty());
    assert!(harness.revisions(&person(1), room, message.id).await.unwrap().is_empty());
    assert_eq!(code(harness.delete(&person(2), room, message.id).await), "not_changeable");
    let left = "SELECT COUNT(*) FROM chat_message WHERE content LIKE '%secret%' OR search_text LIKE '%secret%' \
                OR (deleted_at IS NOT NULL AND salt <> '')";
    assert_eq!(harness.db.query_i64(left).await, 0);
    assert_eq!(harness.db.query_i64("SELECT COUNT(*) FROM chat_event WHERE record LIKE '%secret%'").await, 0);
    let stored = "SELECT COUNT(*) FROM realtime_event WHERE body LIKE '%secret%'";
    assert_eq!(harness.db.query_i64(stored).await, 0);
    assert_eq!(harness.events(room).await.last().unwrap()["type"], "message_deleted");
}

#[tokio::test]
async fn moderators_delete_messages_of_others_at_any_time() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let message = harness.say(2, room, "x").await;
    harness.clock.advance(Duration::from_secs(25 * 3600));
    assert_eq!(code(harness.delete(&person(2), room, message.id).await), "too_late");
    assert_eq!(code(harness.delete(&staff(9), room, message.id).await), "not_participant");
    assert_eq!(code(harness.delete(&person(1), room, message.id).await), "ok");
}

#[tokio::test]
async fn messages_of_the_server_and_of_a_closed_room_stay() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let message = harness.say(1, room, "x").await;
    let joined = harness.messages_around(&person(1), room, 1, 2).await.unwrap().pop().unwrap();
    assert_eq!(code(harness.delete(&person(1), room, joined.id).await), "not_changeable");
    harness.leave_room(1, room).await.unwrap();
    assert_eq!(code(harness.delete(&person(1), room, message.id).await), "room_closed");
    assert_eq!(code(harness.edit(&person(1), room, message.id, to("y"), IfMatch::default()).await), "room_closed");
}
