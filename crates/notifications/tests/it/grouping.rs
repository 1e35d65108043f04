use guildhall_kernel::UserId;
use guildhall_notifications::{NotificationKind, Notifications, ReadAll};

use crate::harness::{happened, notifications, person, with_connections};

#[tokio::test]
async fn unread_notifications_about_one_thing_are_one() {
    let harness = notifications().await;
    for actor in 2..=6 {
        harness.happens(&happened(NotificationKind::Reaction, 1, Some(actor), 7)).await;
    }
    let list = harness.list(1).await;
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].text, "person-6 and 4 others reacted to your post “Hello”");
    assert_eq!((list[0].actor_count, list[0].actor.as_ref().unwrap().id), (5, UserId(6)));
    assert!(list[0].updated_at > list[0].created_at);
    assert_eq!(harness.unread(1).await, 1);
}

#[tokio::test]
async fn notifications_of_other_kinds_about_other_things_and_of_others_are_separate() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    harness.comment(3, 8).await;
    harness.happens(&happened(NotificationKind::Reaction, 1, Some(3), 7)).await;
    harness.happens(&happened(NotificationKind::Comment, 4, Some(3), 7)).await;
    assert_eq!((harness.list(1).await.len(), harness.list(4).await.len()), (3, 1));
}

#[tokio::test]
async fn the_same_actor_counts_once() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    harness.comment(2, 7).await;
    assert_eq!(harness.texts(1).await, ["person-2 commented on your post “Hello”"]);
    assert_eq!(harness.frames(1).await.len(), 2, "the second comment is new");
}

#[tokio::test]
async fn a_changed_reaction_is_no_news() {
    let harness = notifications().await;
    for _ in 0..2 {
        harness.happens(&happened(NotificationKind::Reaction, 1, Some(2), 7)).await;
    }
    assert_eq!(harness.frames(1).await.len(), 1);
}

#[tokio::test]
async fn messages_of_one_person_are_counted() {
    let harness = notifications().await;
    for _ in 0..3 {
        harness.happens(&happened(NotificationKind::DirectMessage, 1, Some(2), 7)).await;
    }
    assert_eq!(harness.texts(1).await, ["person-2 sent you 3 messages"]);
}

#[tokio::test]
async fn after_a_notification_was_read_a_new_one_begins() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    harness.service.read_all_notifications(&person(1), ReadAll::default()).await.unwrap();
    harness.comment(3, 7).await;
    let texts = ["person-3 commented on your post “Hello”", "person-2 commented on your post “Hello”"];
    assert_eq!(harness.texts(1).await, texts);
    assert_eq!(harness.unread(1).await, 1);
}

#[tokio::test]
async fn concurrent_reactions_are_all_counted() {
    let harness = with_connections(8).await;
    let actors: Vec<i64> = (2..=40).collect();
    for actor in &actors {
        harness.emit(&happened(NotificationKind::Reaction, 1, Some(*actor), 7)).await;
    }
    let nodes: Vec<_> = (0..4)
        .map(|_| {
            let notifier = harness.service.notifier();
            tokio::spawn(async move { notifier.deliver().await.unwrap() })
        })
        .collect();
    for node in nodes {
        node.await.unwrap();
    }
    let list = harness.list(1).await;
    assert_eq!((list.len(), list[0].actor_count), (1, 39));
}
