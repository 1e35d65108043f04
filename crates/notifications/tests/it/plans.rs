//! Checks the query plans of every list on both databases.

use guildhall_kernel::{CursorQuery, testing::assert_plans};
use guildhall_notifications::{NotificationFilter, Notifications, Preferences};

use crate::harness::{mention, notifications, person};

#[tokio::test]
async fn no_query_scans_a_whole_table() {
    let harness = notifications().await;
    harness.emit(&mention(2, 7)).await;
    let (caller, check) = (person(1), "notifications_");
    assert_plans(&harness.db, check, "delivery", harness.notifier.deliver()).await.unwrap();
    for unread in [None, Some(true), Some(false)] {
        let filter = NotificationFilter { unread };
        for cursor in [CursorQuery::newest(20), CursorQuery::before(1000, 20)] {
            let list = harness.service.notifications(&caller, filter, cursor);
            assert_plans(&harness.db, check, "list", list).await.unwrap();
        }
    }
    assert_plans(&harness.db, check, "count", harness.service.unread_notifications(&person(1))).await.unwrap();
    assert_plans(&harness.db, check, "preferences", harness.service.notification_preferences(&person(1)))
        .await
        .unwrap();
    harness.clock.advance(std::time::Duration::from_secs(600));
    assert_plans(&harness.db, check, "due", harness.service.due_messages().send()).await.unwrap();
    assert_eq!(harness.outgoing("mail").await.len(), 1);
}
