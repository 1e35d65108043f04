use guildhall_kernel::{CursorQuery, IfMatch, UserId};
use guildhall_messaging::{
    Blocks, ChosenPreferences, ConversationId, Conversations, GroupPatch, Groups, Messages, NewGroup, NewMembers,
    NewMessage, PreferencesPatch, Reading, Requests, Target,
};

use crate::harness::{Harness, INACTIVE, code, contents, messaging, person};

async fn members(harness: &Harness, viewer: i64, id: ConversationId) -> Vec<i64> {
    let members = harness.members(&person(viewer), id).await.unwrap();
    members.into_iter().map(|member| member.user.unwrap().id.0).collect()
}

fn ids(users: &[i64]) -> NewMembers {
    NewMembers { user_ids: users.iter().copied().map(UserId).collect() }
}

#[tokio::test]
async fn a_message_to_a_group_reaches_all_members() {
    let harness = messaging().await;
    let group = harness.group(&[1, 2, 3]).await;
    let message = harness.say_in(2, group, "hello").await;
    assert_eq!((message.receiver_id, message.no), (None, 2));
    for user in 1..=3 {
        let history = harness.messages(&person(user), group, CursorQuery::newest(5)).await.unwrap();
        assert_eq!(contents(&history.messages), ["Group created.", "hello"]);
        let row = harness.inbox(user).await.remove(0);
        assert_eq!((row.name.as_str(), row.member_count, row.other_user), ("Lunch", 3, None));
        assert_eq!(row.last_message.unwrap().id, message.id);
        let unread = [0, 1, 1, 2][usize::try_from(user).unwrap()];
        assert_eq!(row.unread_count, unread, "{user}");
    }
    harness.mark_read(&person(3), message.id).await.unwrap();
    assert_eq!(harness.unread_count(&person(3)).await.unwrap(), 0);
    assert_eq!(code(harness.mark_read(&person(2), message.id).await), "message_not_found");
}

#[tokio::test]
async fn a_group_does_not_exist_for_outsiders() {
    let harness = messaging().await;
    let group = harness.group(&[1, 2]).await;
    assert_eq!(code(harness.conversation(&person(3), group).await), "conversation_not_found");
    assert_eq!(code(harness.members(&person(3), group).await), "conversation_not_found");
    assert_eq!(code(harness.add_members(&person(3), group, ids(&[4])).await), "conversation_not_found");
    assert_eq!(code(harness.leave(&person(3), group).await), "conversation_not_found");
    assert_eq!(code(harness.remove_member(&person(3), group, UserId(2)).await), "conversation_not_found");
}

#[tokio::test]
async fn only_the_owner_manages_a_group() {
    let harness = messaging().await;
    let group = harness.group(&[1, 2, 3]).await;
    let rename = |name: &str| GroupPatch { name: name.into() };
    let renamed = harness.rename(&person(2), group, rename("Dinner"), IfMatch::default()).await;
    assert_eq!(code(renamed), "not_owner");
    assert_eq!(code(harness.add_members(&person(2), group, ids(&[4])).await), "not_owner");
    assert_eq!(code(harness.remove_member(&person(2), group, UserId(3)).await), "not_owner");
    assert_eq!(code(harness.transfer(&person(2), group, UserId(2)).await), "not_owner");
    let renamed = harness.rename(&person(1), group, rename(" Dinner "), IfMatch::default()).await.unwrap();
    assert_eq!(renamed.name, "Dinner");
    let stale = IfMatch::only(renamed.created_at.into());
    assert_eq!(code(harness.rename(&person(1), group, rename("x"), stale).await), "stale");
    harness.transfer(&person(1), group, UserId(2)).await.unwrap();
    assert_eq!(code(harness.add_members(&person(1), group, ids(&[4])).await), "not_owner");
    harness.add_members(&person(2), group, ids(&[4, 4, 3])).await.unwrap();
    assert_eq!(members(&harness, 4, group).await, [1, 2, 3, 4]);
    assert_eq!(code(harness.transfer(&person(2), group, UserId(9)).await), "not_in_group");
}

#[tokio::test]
async fn a_new_member_has_read_what_was_written_before() {
    let harness = messaging().await;
    let group = harness.group(&[1, 2]).await;
    harness.say_in(1, group, "a").await;
    harness.add_members(&person(1), group, ids(&[3])).await.unwrap();
    assert_eq!(harness.inbox(3).await[0].unread_count, 0);
    assert_eq!(harness.inbox(3).await[0].last_message.as_ref().unwrap().content, "a");
    let last = harness.say_in(1, group, "b").await;
    assert_eq!(harness.unread_count(&person(3)).await.unwrap(), 1);
    harness.mark_read(&person(3), last.id).await.unwrap();
    assert_eq!(harness.unread_count(&person(3)).await.unwrap(), 0);
}

#[tokio::test]
async fn whoever_leaves_or_is_removed_sees_nothing_more() {
    let harness = messaging().await;
    let group = harness.group(&[1, 2, 3]).await;
    let message = harness.say_in(1, group, "a").await;
    harness.leave(&person(2), group).await.unwrap();
    harness.remove_member(&person(1), group, UserId(3)).await.unwrap();
    assert_eq!(code(harness.remove_member(&person(1), group, UserId(3)).await), "not_found");
    harness.say_in(1, group, "b").await;
    for user in [2, 3] {
        assert!(harness.inbox(user).await.is_empty());
        assert_eq!(harness.unread_count(&person(user)).await.unwrap(), 0);
        let send = harness.send(&person(user), Target::Conversation(group), NewMessage::text("x")).await;
        assert_eq!(code(send), "conversation_not_found");
        assert_eq!(code(harness.message(&person(user), group, message.id).await), "message_not_found");
    }
    assert_eq!(members(&harness, 1, group).await, [1]);
    assert_eq!(harness.conversation(&person(1), group).await.unwrap().member_count, 1);
    let types = harness.event_types(&format!("conversation/{group}")).await;
    assert!(types.contains(&"member_left".to_owned()) && types.contains(&"member_removed".to_owned()));
    // Who was removed can be added again; who has left has to accept.
    harness.add_members(&person(1), group, ids(&[2, 3])).await.unwrap();
    assert_eq!(harness.inbox(3).await.len(), 1);
    assert!(harness.inbox(2).await.is_empty());
    harness.accept(&person(2), group).await.unwrap();
    assert_eq!(harness.inbox(2).await.len(), 1);
}

#[tokio::test]
async fn the_longest_standing_member_owns_a_group_whose_owner_leaves() {
    let harness = messaging().await;
    let group = harness.group(&[5]).await;
    for user in [9, 3] {
        harness.add_members(&person(5), group, ids(&[user])).await.unwrap();
    }
    harness.leave(&person(5), group).await.unwrap();
    assert_eq!(harness.conversation(&person(3), group).await.unwrap().owner.unwrap().id, UserId(9));
    harness.leave(&person(9), group).await.unwrap();
    harness.leave(&person(3), group).await.unwrap();
    assert_eq!(harness.db.count_rows("messaging_conversation").await, 0);
    assert_eq!(harness.db.count_rows("messaging_message").await, 0);
}

#[tokio::test]
async fn a_group_has_at_most_a_hundred_members() {
    let harness = messaging().await;
    let first: Vec<i64> = (1..=98).collect();
    let group = harness.group(&first).await;
    assert_eq!(code(harness.add_members(&person(1), group, ids(&[101, 102, 103])).await), "group_full");
    assert_eq!(code(harness.add_members(&person(1), group, ids(&[101, 102])).await), "ok");
    assert_eq!(code(harness.add_members(&person(1), group, ids(&[103])).await), "group_full");
    let too_many = NewGroup { name: "x".into(), user_ids: (2..=101).map(UserId).collect() };
    assert_eq!(code(harness.create_group(&person(1), too_many).await), "invalid");
}

#[tokio::test]
async fn blocked_and_unknown_people_cannot_be_added() {
    let harness = messaging().await;
    harness.block(&person(2), UserId(1)).await.unwrap();
    let new = |users: &[i64]| NewGroup { name: "x".into(), user_ids: ids(users).user_ids };
    assert_eq!(code(harness.create_group(&person(1), new(&[2])).await), "blocked");
    assert_eq!(code(harness.create_group(&person(1), new(&[INACTIVE])).await), "user_not_found");
    let group = harness.group(&[1, 3]).await;
    assert_eq!(code(harness.add_members(&person(1), group, ids(&[2])).await), "blocked");
    assert_eq!(code(harness.add_members(&person(1), group, ids(&[5000])).await), "user_not_found");
    assert_eq!(harness.db.count_rows("messaging_conversation").await, 1);
}

#[tokio::test]
async fn whoever_accepts_requests_only_has_to_accept_a_group() {
    let harness = messaging().await;
    let only = PreferencesPatch { accepts_requests_only: Some(true), ..PreferencesPatch::default() };
    harness.change_preferences(&person(2), only).await.unwrap();
    let group = harness.group(&[1, 2]).await;
    assert!(harness.inbox(2).await.is_empty());
    let send = harness.send(&person(2), Target::Conversation(group), NewMessage::text("x")).await;
    assert_eq!(code(send), "conversation_not_found");
    assert_eq!(harness.requests(&person(2), CursorQuery::newest(5)).await.unwrap().results.len(), 1);
    harness.decline(&person(2), group).await.unwrap();
    assert_eq!(harness.conversation(&person(1), group).await.unwrap().member_count, 1);
    assert_eq!(code(harness.accept(&person(2), group).await), "conversation_not_found");
}

#[tokio::test]
async fn operations_on_groups_are_refused_for_two_people() {
    let harness = messaging().await;
    let id = harness.say(1, 2, "a").await.conversation_id;
    assert_eq!(code(harness.leave(&person(1), id).await), "not_group");
    assert_eq!(code(harness.add_members(&person(1), id, ids(&[3])).await), "not_group");
    assert_eq!(members(&harness, 1, id).await.len(), 2);
}
