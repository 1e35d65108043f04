use guildhall_kernel::UserId;
use guildhall_messaging::{ChosenPreferences, Groups, PreferencesPatch, Reading, Requests};

use crate::harness::{Harness, messaging, person};

async fn has_errors(harness: &Harness, fix: bool) -> bool {
    harness.examine(fix).await.unwrap().iter().any(guildhall_kernel::doctor::Finding::is_error)
}

#[tokio::test]
async fn all_operations_keep_the_counters_correct() {
    let harness = messaging().await;
    let only = PreferencesPatch { accepts_requests_only: Some(true), ..PreferencesPatch::default() };
    harness.change_preferences(&person(4), only).await.unwrap();
    let first = harness.say(1, 2, "a").await;
    harness.say(2, 1, "b").await;
    harness.mark_read(&person(2), first.id).await.unwrap();
    let declined = harness.say(1, 4, "c").await.conversation_id;
    harness.decline(&person(4), declined).await.unwrap();
    harness.say(1, 4, "d").await;
    harness.say(4, 1, "e").await;
    harness.say(1, 4, "f").await;
    let group = harness.group(&[1, 2, 3, 4]).await;
    harness.say_in(1, group, "g").await;
    harness.remove_member(&person(1), group, UserId(3)).await.unwrap();
    harness.leave(&person(2), group).await.unwrap();
    assert!(!has_errors(&harness, false).await, "{:?}", harness.examine(false).await.unwrap());
}

#[tokio::test]
async fn wrong_counters_are_found_and_repaired() {
    let harness = messaging().await;
    harness.say(1, 2, "a").await;
    harness.db.sql("UPDATE messaging_member SET unread_count = 7").await.unwrap();
    harness.db.sql("UPDATE messaging_conversation SET member_count = 9").await.unwrap();
    assert!(has_errors(&harness, false).await);
    assert_eq!(harness.unread_count(&person(2)).await.unwrap(), 7);
    harness.examine(true).await.unwrap();
    assert!(!has_errors(&harness, false).await);
    assert_eq!(harness.unread_count(&person(2)).await.unwrap(), 1);
}
