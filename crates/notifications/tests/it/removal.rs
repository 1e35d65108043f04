use guildhall_kernel::{IfMatch, UserId, UserRemoval};
use guildhall_notifications::{NotificationKind, Preferences, PreferencesPatch, Removal};
use sea_orm::ConnectionTrait;

use crate::harness::{Harness, happened, mention, notifications, person};

async fn remove(harness: &Harness, user: i64) {
    harness
        .db
        .write(|tx| async move {
            Removal.release(&tx, UserId(user), None).await?;
            tx.execute_unprepared(&format!("DELETE FROM people WHERE id = {user}")).await?;
            Ok::<_, guildhall_kernel::Error>(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_removed_user_is_no_longer_named() {
    let harness = notifications().await;
    for actor in [2, 3, 4] {
        harness.happens(&happened(NotificationKind::Reaction, 1, Some(actor), 7)).await;
    }
    harness.comment(4, 8).await;
    remove(&harness, 4).await;
    let texts = ["Somebody commented on your post “Hello”", "person-3 and 1 other reacted to your post “Hello”"];
    assert_eq!(harness.texts(1).await, texts);
    remove(&harness, 2).await;
    assert_eq!(harness.texts(1).await[1], "person-3 reacted to your post “Hello”");
}

#[tokio::test]
async fn nothing_of_a_removed_user_is_left() {
    let harness = notifications().await;
    harness.happens(&mention(2, 7)).await;
    let patch: PreferencesPatch =
        serde_json::from_value(serde_json::json!({"digest": "daily", "kinds": {"system": {"push": false}}})).unwrap();
    harness.service.change_notification_preferences(&person(1), patch, IfMatch::default()).await.unwrap();
    // The same if the account only becomes anonymous.
    harness.db.write(|tx| async move { Removal.release(&tx, UserId(1), None).await }).await.unwrap();
    for table in ["notification", "queue", "due", "actor", "preference", "settings", "subscription"] {
        assert_eq!(harness.db.count_rows(&format!("notifications_{table}")).await, 0, "{table}");
    }
}

#[tokio::test]
async fn an_export_contains_notifications_and_preferences() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    let (name, data) = Removal.export(&harness.db.snapshot().await.unwrap(), UserId(1)).await.unwrap();
    assert_eq!(name, "notifications");
    assert_eq!(data["notifications"][0]["kind"], "comment");
    assert_eq!(data["preferences"]["kinds"]["comment"]["page"], true);
}
