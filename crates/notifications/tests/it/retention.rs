use std::time::Duration;

use guildhall_notifications::{Notifications, ReadAll};

use crate::harness::{notifications, person};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn notifications_are_deleted_ninety_days_after_they_were_read_and_all_after_a_year() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    harness.service.read_all_notifications(&person(1), ReadAll::default()).await.unwrap();
    harness.comment(2, 8).await;
    harness.clock.advance(DAY * 89);
    assert_eq!(harness.service.retention().delete_old().await.unwrap(), 0);
    harness.clock.advance(DAY * 2);
    assert_eq!(harness.service.retention().delete_old().await.unwrap(), 1);
    assert!(!harness.list(1).await[0].is_read);
    harness.clock.advance(DAY * 275);
    assert_eq!(harness.service.retention().delete_old().await.unwrap(), 1);
    assert_eq!(harness.db.count_rows("notifications_actor").await, 0);
}

#[tokio::test]
async fn delivered_notifications_leave_the_queue_after_a_week() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    harness.clock.advance(DAY * 8);
    harness.emit(&crate::harness::comment(2, 8)).await;
    harness.service.retention().delete_old().await.unwrap();
    assert_eq!(harness.db.count_rows("notifications_queue").await, 1);
    assert_eq!(harness.notifier.deliver().await.unwrap(), 1);
}
