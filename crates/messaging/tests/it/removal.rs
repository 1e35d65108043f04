use guildhall_files::Upload;
use guildhall_kernel::{CursorQuery, UserId, UserRemoval};
use guildhall_messaging::{
    Attachments, Blocks, Conversations, Groups, Messages, NewMembers, NewMessage, Reactions, Removal, Target,
};
use sea_orm::ConnectionTrait;

use crate::harness::{Harness, code, contents, messaging, person};

/// Removes a user; their row stays if only the account is emptied.
async fn remove(harness: &Harness, user: i64, successor: Option<i64>, deletes_row: bool) {
    let removal = &Removal::new(harness);
    harness
        .db
        .write(|tx| async move {
            removal.release(&tx, UserId(user), successor.map(UserId)).await.unwrap();
            if deletes_row {
                tx.execute_unprepared(&format!("DELETE FROM people WHERE id = {user}")).await?;
            }
            assert!(!removal.is_used(&tx, UserId(user)).await.unwrap());
            Ok::<_, sea_orm::DbErr>(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_direct_conversation_keeps_its_messages_with_one_side_empty() {
    for deletes_row in [true, false] {
        let harness = messaging().await;
        let message = harness.say(2, 1, "hello").await;
        harness.say(1, 2, "hi").await;
        harness.react(&person(2), message.conversation_id, message.id, "👍".into()).await.unwrap();
        harness.block(&person(2), UserId(3)).await.unwrap();
        remove(&harness, 2, None, deletes_row).await;
        let id = message.conversation_id;
        let history = harness.messages(&person(1), id, CursorQuery::newest(5)).await.unwrap();
        assert_eq!((contents(&history.messages), history.other_user), (vec!["hello", "hi"], None));
        assert_eq!((history.messages[0].sender_id, history.messages[0].reactions.len()), (None, 0));
        assert_eq!(history.messages[1].receiver_id, None);
        let row = harness.inbox(1).await.remove(0);
        assert_eq!((row.other_user, row.member_count, row.unread_count), (None, 1, 1));
        let send = harness.send(&person(1), Target::Conversation(id), NewMessage::text("x")).await;
        assert_eq!(code(send), "user_not_found");
        assert_eq!(harness.db.count_rows("messaging_block").await, 0);
        remove(&harness, 1, None, deletes_row).await;
        assert_eq!(harness.db.count_rows("messaging_conversation").await, 0);
        // Those of the people are deleted by the streams.
        assert_eq!(harness.stream_names().await, ["user/1", "user/2"]);
        assert_eq!(harness.events_with("content").await, [""; 0]);
    }
}

#[tokio::test]
async fn groups_get_the_successor_or_the_longest_standing_member_as_owner() {
    for (successor, owner) in [(None, 4), (Some(3), 3), (Some(9), 4)] {
        let harness = messaging().await;
        let group = harness.group(&[2]).await;
        for user in [4, 3] {
            harness.add_members(&person(2), group, NewMembers { user_ids: vec![UserId(user)] }).await.unwrap();
        }
        harness.say_in(2, group, "bye").await;
        remove(&harness, 2, successor, true).await;
        let conversation = harness.conversation(&person(3), group).await.unwrap();
        assert_eq!((conversation.owner.unwrap().id, conversation.member_count), (UserId(owner), 2));
        assert_eq!(harness.messages(&person(3), group, CursorQuery::newest(5)).await.unwrap().messages.len(), 2);
    }
}

#[tokio::test]
async fn a_group_without_other_members_goes_with_its_owner() {
    let harness = messaging().await;
    harness.group(&[2]).await;
    remove(&harness, 2, None, true).await;
    assert_eq!(harness.db.count_rows("messaging_conversation").await, 0);
    assert_eq!(harness.stream_names().await, [""; 0]);
}

#[tokio::test]
async fn the_export_contains_own_messages_groups_and_blocks() {
    let harness = messaging().await;
    let upload = Upload {
        name: "plan.txt".into(),
        content_type: "text/plain".into(),
        bytes: "x".into(),
        fields: std::collections::BTreeMap::new(),
    };
    let [sent, unsent] =
        [harness.upload(&person(2), upload.clone()).await.unwrap(), harness.upload(&person(2), upload).await.unwrap()];
    let new = NewMessage { attachments: vec![sent.id], ..NewMessage::text("mine") };
    harness.send(&person(2), Target::User(UserId(1)), new).await.unwrap();
    harness.say(1, 2, "theirs").await;
    harness.group(&[2, 1]).await;
    harness.block(&person(2), UserId(3)).await.unwrap();
    let snapshot = harness.db.snapshot().await.unwrap();
    let (name, data) = Removal::new(&harness).export(&snapshot, UserId(2)).await.unwrap();
    assert_eq!(name, "messaging");
    assert_eq!(data["messages"].as_array().unwrap().len(), 1);
    assert_eq!(data["messages"][0]["content"], "mine");
    assert_eq!(data["messages"][0]["attachments"][0]["name"], "plan.txt");
    assert_eq!((data["uploads"].as_array().unwrap().len(), &data["uploads"][0]["id"]), (1, &unsent.id.0.into()));
    assert_eq!((&data["groups"][0]["name"], &data["blocked"][0]), (&"Lunch".into(), &3.into()));
}
