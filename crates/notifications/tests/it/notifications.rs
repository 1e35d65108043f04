use std::sync::atomic::Ordering;

use guildhall_kernel::{self as kernel, CursorQuery, Kind};
use guildhall_notifications::{NotificationFilter, NotificationId, Notifications, ReadAll, TargetRef};

use crate::harness::{notifications, person};

#[tokio::test]
async fn notifications_are_listed_newest_first_in_pages() {
    let harness = notifications().await;
    for post in 1..=5 {
        harness.comment(2, post).await;
    }
    let caller = person(1);
    let page = |cursor| harness.service.notifications(&caller, NotificationFilter::default(), cursor);
    let first = page(CursorQuery::newest(3)).await.unwrap();
    let posts = |list: &[guildhall_notifications::Notification]| -> Vec<i64> {
        list.iter().map(|notification| notification.target.as_ref().unwrap().id).collect()
    };
    assert_eq!(posts(&first.results), [5, 4, 3]);
    assert!(first.next.is_some());
    let second = page(CursorQuery::before(first.results[2].id.0, 3)).await.unwrap();
    assert_eq!(posts(&second.results), [2, 1]);
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn the_list_can_be_restricted_to_unread_ones() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    harness.comment(2, 8).await;
    let read = harness.list(1).await[0].id;
    harness.service.read_notification(&person(1), read).await.unwrap();
    let with = async |unread| harness.list_with(1, NotificationFilter { unread }).await;
    assert_eq!((with(None).await.len(), with(Some(true)).await.len()), (2, 1));
    let read_ones = with(Some(false)).await;
    assert_eq!((read_ones[0].id, read_ones[0].is_read), (read, true));
}

#[tokio::test]
async fn what_a_user_may_no_longer_see_is_not_listed_and_does_not_count() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    harness.comment(2, 8).await;
    harness.posts.hide(1, 7);
    assert_eq!(harness.list(1).await.len(), 1);
    assert_eq!(harness.unread(1).await, 1);
    harness.posts.reveal(1, 7);
    assert_eq!(harness.list(1).await.len(), 2);
}

#[tokio::test]
async fn one_question_per_kind_of_target_decides_what_is_listed() {
    let harness = notifications().await;
    for post in 1..=5 {
        harness.comment(2, post).await;
    }
    harness.posts.questions.store(0, Ordering::SeqCst);
    harness.list(1).await;
    assert_eq!(harness.posts.questions.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_notification_can_be_read_only_by_its_recipient() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    let id = harness.list(1).await[0].id;
    for (user, id) in [(2, id), (1, NotificationId(4711))] {
        let refused = harness.service.read_notification(&person(user), id).await.unwrap_err();
        assert_eq!(kernel::Error::from(refused).kind(), Kind::NotFound);
    }
    assert_eq!(harness.unread(1).await, 1);
    for _ in 0..2 {
        harness.service.read_notification(&person(1), id).await.unwrap();
        assert_eq!(harness.unread(1).await, 0);
    }
}

#[tokio::test]
async fn reading_all_can_be_restricted() {
    let harness = notifications().await;
    for post in 1..=4 {
        harness.comment(2, post).await;
        harness
            .happens(&crate::harness::happened(guildhall_notifications::NotificationKind::Mention, 3, Some(2), post))
            .await;
    }
    let oldest = harness.list(1).await[3].id;
    let read = async |which| harness.service.read_all_notifications(&person(1), which).await.unwrap().unread_count;
    assert_eq!(read(ReadAll { up_to: Some(oldest), target: None }).await, 3);
    let target = Some(TargetRef { kind: "post".to_owned(), id: 3 });
    assert_eq!(read(ReadAll { up_to: None, target }).await, 2);
    assert_eq!(read(ReadAll::default()).await, 0);
    assert_eq!(harness.unread(3).await, 4, "those of others stay unread");
}

#[tokio::test]
async fn unread_notifications_are_counted_up_to_a_hundred() {
    let harness = notifications().await;
    let rows: Vec<String> = (1..=150).map(|n| format!("(1, 'comment', 'x/{n}', 0, 1, {n}, 'a post', 0, 0)")).collect();
    let insert = "INSERT INTO notifications_notification \
        (recipient_id, kind, group_key, actor_count, event_count, event_id, subject, created_at, updated_at) VALUES ";
    harness.db.sql(&format!("{insert}{}", rows.join(", "))).await.unwrap();
    assert_eq!(harness.unread(1).await, 100);
}
