use std::{sync::atomic::Ordering, time::Duration};

use guildhall_kernel::{UserId, event::Event};
use guildhall_notifications::NotificationKind;

use crate::harness::{Happened, Ignored, comment, happened, notifications, with_connections};

#[tokio::test]
async fn an_event_notifies_its_recipients() {
    let harness = notifications().await;
    harness.happens(&Happened { recipients: vec![1, 2], ..comment(3, 7) }).await;
    for user in [1, 2] {
        let list = harness.list(user).await;
        assert_eq!(list.len(), 1);
        let notification = &list[0];
        assert_eq!(notification.text, "person-3 commented on your post “Hello”");
        assert_eq!(notification.actor.as_ref().unwrap().id, UserId(3));
        let target = notification.target.as_ref().unwrap();
        assert_eq!((target.kind.as_str(), target.id), ("post", 7));
        assert_eq!(target.url, "https://example.org/app/posts/7/");
        assert!(!notification.is_read);
        assert_eq!(harness.unread(user).await, 1);
    }
    assert!(harness.list(3).await.is_empty());
}

#[tokio::test]
async fn users_are_not_notified_of_what_they_do_themselves() {
    let harness = notifications().await;
    harness.happens(&Happened { recipients: vec![1, 2], ..comment(1, 7) }).await;
    assert_eq!((harness.unread(1).await, harness.unread(2).await), (0, 1));
}

#[tokio::test]
async fn an_event_notifies_a_user_only_once() {
    let harness = notifications().await;
    harness.happens(&Happened { recipients: vec![1, 1], ..comment(2, 7) }).await;
    assert_eq!(harness.list(1).await.len(), 1);
    assert_eq!(harness.frames(1).await.len(), 1);
    assert_eq!(harness.notifier.deliver().await.unwrap(), 0);
    assert_eq!(harness.frames(1).await.len(), 1);
}

#[tokio::test]
async fn the_events_of_the_sources_are_subscribed_to_once() {
    use guildhall_kernel::event::Subscriber;

    let harness = notifications().await;
    assert_eq!(harness.notifier.events(), [Happened::NAME]);
    harness.db.write(|tx| async move { tx.emit(&Ignored {}).await }).await.unwrap();
    assert_eq!(harness.db.count_rows("kernel_event").await, 0);
}

#[tokio::test]
async fn what_a_user_may_no_longer_see_at_the_delivery_is_not_delivered() {
    let harness = notifications().await;
    harness.emit(&comment(2, 7)).await;
    harness.posts.hide(1, 7);
    harness.notifier.deliver().await.unwrap();
    harness.posts.reveal(1, 7);
    assert!(harness.list(1).await.is_empty());
    assert_eq!(harness.frames(1).await.len(), 0);
    assert_eq!(harness.unread(1).await, 0);
    assert_eq!(harness.notifier.deliver().await.unwrap(), 0, "it is not delivered later either");
}

#[tokio::test]
async fn a_notification_without_a_target_is_always_visible() {
    let harness = notifications().await;
    let welcome =
        Happened { subject: "Welcome to the guild.".to_owned(), ..happened(NotificationKind::System, 1, None, 0) };
    harness.happens(&welcome).await;
    let list = harness.list(1).await;
    assert_eq!((list[0].text.as_str(), &list[0].target, &list[0].actor), ("Welcome to the guild.", &None, &None));
    assert_eq!(harness.posts.questions.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_delivery_that_fails_is_tried_again() {
    let harness = notifications().await;
    harness.posts.is_down.store(true, Ordering::SeqCst);
    harness.comment(2, 7).await;
    harness.posts.is_down.store(false, Ordering::SeqCst);
    assert_eq!(harness.notifier.deliver().await.unwrap(), 0, "not at once");
    harness.clock.advance(Duration::from_secs(60));
    assert_eq!(harness.notifier.deliver().await.unwrap(), 1);
    assert_eq!(harness.list(1).await.len(), 1);
}

#[tokio::test]
async fn a_delivery_that_keeps_failing_is_given_up() {
    let harness = notifications().await;
    harness.posts.is_down.store(true, Ordering::SeqCst);
    harness.emit(&comment(2, 7)).await;
    for _ in 0..25 {
        harness.notifier.deliver().await.unwrap();
        harness.clock.advance(Duration::from_secs(3700));
    }
    assert_eq!(harness.posts.questions.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn recipients_and_actors_who_were_removed_since_the_event_are_left_out() {
    let harness = notifications().await;
    let event = &Happened { recipients: vec![1, 2], ..comment(3, 7) };
    harness.db.write(|tx| async move { tx.emit(event).await }).await.unwrap();
    harness.db.sql("DELETE FROM people WHERE id IN (2, 3)").await.unwrap();
    harness.events.dispatch().await.unwrap();
    harness.notifier.deliver().await.unwrap();
    assert_eq!(harness.texts(1).await, ["Somebody commented on your post “Hello”"]);
    assert_eq!(harness.events.failed().await.unwrap(), 0);
    assert_eq!(harness.db.count_rows("notifications_notification").await, 1);
}

#[tokio::test]
async fn a_notification_is_delivered_once_by_several_nodes() {
    let harness = with_connections(8).await;
    for post in 1..=10 {
        harness.emit(&Happened { recipients: vec![1, 2, 3], ..comment(4, post) }).await;
    }
    let nodes: Vec<_> = (0..4)
        .map(|_| {
            let notifier = harness.service.notifier();
            tokio::spawn(async move { notifier.deliver().await.unwrap() })
        })
        .collect();
    let mut delivered = 0;
    for node in nodes {
        delivered += node.await.unwrap();
    }
    assert_eq!(delivered, 30);
    for user in 1..=3 {
        assert_eq!((harness.list(user).await.len(), harness.frames(user).await.len()), (10, 10));
    }
}
