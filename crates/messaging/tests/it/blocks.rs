use guildhall_kernel::{CursorQuery, IfMatch, UserId};
use guildhall_messaging::{Blocks, Changes, MessagePatch, Messages, NewMessage, Reactions, Reading, Target};

use crate::harness::{Harness, code, messaging, person};

async fn send(harness: &Harness, from: i64, to: i64) -> String {
    code(harness.send(&person(from), Target::User(UserId(to)), NewMessage::text("x")).await)
}

#[tokio::test]
async fn p40_a_block_ends_all_writing_in_both_directions_until_it_is_lifted() {
    let harness = messaging().await;
    let message = harness.say(2, 1, "hello").await;
    harness.block(&person(1), UserId(2)).await.unwrap();
    harness.block(&person(1), UserId(2)).await.unwrap();
    assert_eq!((send(&harness, 2, 1).await.as_str(), send(&harness, 1, 2).await.as_str()), ("blocked", "blocked"));
    let (conversation, id) = (message.conversation_id, message.id);
    let patch = MessagePatch { content: "still here".into() };
    assert_eq!(code(harness.edit(&person(2), conversation, id, patch, IfMatch::default()).await), "blocked");
    assert_eq!(code(harness.react(&person(2), conversation, id, "👍".into()).await), "blocked");
    // The history stays readable.
    assert_eq!(harness.history(2, 1).await.messages.len(), 1);
    harness.unblock(&person(1), UserId(2)).await.unwrap();
    assert_eq!(send(&harness, 2, 1).await, "ok");
}

#[tokio::test]
async fn nobody_learns_what_somebody_has_read_whom_they_have_blocked_or_who_has_blocked_them() {
    for (blocker, blocked) in [(1, 2), (2, 1)] {
        let harness = messaging().await;
        let id = harness.say(1, 2, "hello").await.conversation_id;
        harness.block(&person(blocker), UserId(blocked)).await.unwrap();
        harness.mark_conversation_read(&person(2), Target::Conversation(id), None).await.unwrap();
        assert_eq!(harness.event_types(&format!("conversation/{id}")).await, ["message"]);
        assert!(!harness.history(1, 2).await.messages[0].is_read);
        harness.unblock(&person(blocker), UserId(blocked)).await.unwrap();
        assert!(harness.history(1, 2).await.messages[0].is_read);
    }
}

#[tokio::test]
async fn the_block_list_is_only_the_callers() {
    let harness = messaging().await;
    for user in [2, 3] {
        harness.block(&person(1), UserId(user)).await.unwrap();
    }
    let list = async |user: i64| -> Vec<i64> {
        let page = harness.blocks(&person(user), CursorQuery::newest(50)).await.unwrap();
        page.results.into_iter().map(|block| block.user.unwrap().id.0).collect()
    };
    assert_eq!(list(1).await, [3, 2]);
    assert!(list(2).await.is_empty());
    harness.unblock(&person(2), UserId(1)).await.unwrap();
    assert_eq!(list(1).await, [3, 2]);
}

#[tokio::test]
async fn nobody_blocks_themselves_or_somebody_who_does_not_exist() {
    let harness = messaging().await;
    assert_eq!(code(harness.block(&person(1), UserId(1)).await), "invalid");
    assert_eq!(code(harness.block(&person(1), UserId(5000)).await), "user_not_found");
}

#[tokio::test]
async fn unblocking_changes_nothing_unless_the_user_is_blocked() {
    let harness = messaging().await;
    harness.block(&person(1), UserId(3)).await.unwrap();
    assert_eq!(code(harness.unblock(&person(1), UserId(2)).await), "ok");
    for nobody in [0, -1, 5000, i64::MAX] {
        assert_eq!(code(harness.unblock(&person(1), UserId(nobody)).await), "user_not_found", "{nobody}");
    }
    assert_eq!(harness.db.count_rows("messaging_block").await, 1);
}
