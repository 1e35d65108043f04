use guildhall_chat::Reading;

use crate::harness::{chat, code, person};

#[tokio::test]
async fn messages_of_others_are_unread_until_they_are_read() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let unread = async |user| harness.card(user, room).await.unread_count;
    assert_eq!((unread(1).await, unread(2).await, unread(3).await), (Some(1), Some(1), None));
    let first = harness.say(1, room, "a").await;
    harness.say(1, room, "b").await;
    assert_eq!((unread(1).await, unread(2).await), (Some(0), Some(3)));
    harness.mark_read(&person(2), room, first.seq).await.unwrap();
    assert_eq!(unread(2).await, Some(1));
    harness.mark_read(&person(2), room, Some(1)).await.unwrap();
    assert_eq!(unread(2).await, Some(1), "it only grows");
    harness.mark_read(&person(2), room, None).await.unwrap();
    assert_eq!(unread(2).await, Some(0));
    assert_eq!(code(harness.mark_read(&person(3), room, None).await), "not_participant");
    assert_eq!(harness.card(1, room).await.last_seq, 3, "reading takes no number");
}
