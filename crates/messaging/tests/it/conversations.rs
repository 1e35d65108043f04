use std::time::Duration;

use guildhall_kernel::{CursorQuery, Timestamp, UserId};
use guildhall_messaging::{
    Changes, ConversationState, Conversations, DeleteFor, Groups, InboxFilter, Messages, NewMessage, Target,
};

use crate::harness::{Harness, code, messaging, person};

async fn partners(harness: &Harness, user: i64, archived: bool) -> Vec<i64> {
    let filter = InboxFilter { archived, ..InboxFilter::default() };
    let page = harness.conversations(&person(user), filter, CursorQuery::newest(50)).await.unwrap();
    page.results.into_iter().map(|conversation| conversation.other_user.unwrap().id.0).collect()
}

#[tokio::test]
async fn p35_the_inbox_has_one_row_per_partner_newest_first() {
    let harness = messaging().await;
    harness.say(1, 2, "a").await;
    harness.say(3, 1, "b").await;
    harness.say(2, 1, "c").await;
    harness.say(2, 1, "d").await;
    let inbox = harness.inbox(1).await;
    let rows: Vec<_> = inbox
        .iter()
        .map(|row| {
            let last = row.last_message.as_ref().unwrap();
            (row.other_user.as_ref().unwrap().id.0, last.content.as_str(), row.unread_count)
        })
        .collect();
    assert_eq!(rows, [(2, "d", 2), (3, "b", 1)]);
    assert!(harness.inbox(4).await.is_empty());
}

#[tokio::test]
async fn the_inbox_is_read_in_pages() {
    let harness = messaging().await;
    for other in 2..=6 {
        harness.say(other, 1, "x").await;
    }
    let read = async |cursor| {
        let page = harness.conversations(&person(1), InboxFilter::default(), cursor).await.unwrap();
        let last = page.results.last().unwrap().last_message.as_ref().unwrap().id;
        let others: Vec<i64> = page.results.iter().map(|row| row.other_user.as_ref().unwrap().id.0).collect();
        (others, last, page.next.is_some())
    };
    let (first, last, has_next) = read(CursorQuery::newest(3)).await;
    assert_eq!((first, has_next), (vec![6, 5, 4], true));
    let (second, _, has_next) = read(CursorQuery::before(last.0, 3)).await;
    assert_eq!((second, has_next), (vec![3, 2], false));
}

#[tokio::test]
async fn conversations_are_read_by_id_by_those_who_take_part() {
    let harness = messaging().await;
    let one = harness.say(1, 2, "a").await.conversation_id;
    let other = harness.say(2, 3, "b").await.conversation_id;
    let group = harness.group(&[1, 2]).await;
    let read = async |user| {
        let found = harness.conversations_by_id(&person(user), vec![one, other, group]).await.unwrap();
        let mut ids: Vec<_> = found.iter().map(|conversation| conversation.conversation_id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(read(1).await, [one, group]);
    assert_eq!(read(3).await, [other]);
    let found = harness.conversations_by_id(&person(1), vec![one]).await.unwrap();
    assert_eq!(found, [harness.conversation(&person(1), one).await.unwrap()]);
    harness.leave(&person(2), group).await.unwrap();
    assert_eq!(read(2).await, [one, other], "whoever has left a group cannot read it");
}

#[tokio::test]
async fn the_inbox_can_be_filtered_by_type() {
    let harness = messaging().await;
    harness.say(2, 1, "x").await;
    let new = NewMessage { message_type: Some("mentorship".into()), ..NewMessage::text("teach me") };
    harness.send(&person(3), Target::User(UserId(1)), new).await.unwrap();
    let filter = InboxFilter { message_type: Some("mentorship".into()), ..InboxFilter::default() };
    let page = harness.conversations(&person(1), filter, CursorQuery::newest(50)).await.unwrap();
    assert_eq!(page.results.len(), 1);
    assert_eq!(page.results[0].other_user.as_ref().unwrap().id, UserId(3));
}

#[tokio::test]
async fn a_new_message_brings_an_archived_conversation_back_unless_it_is_muted() {
    let harness = messaging().await;
    let id = harness.say(2, 1, "a").await.conversation_id;
    let archive = || ConversationState { is_archived: Some(true), ..ConversationState::default() };
    assert!(harness.change_state(&person(1), id, archive()).await.unwrap().is_archived);
    assert_eq!((partners(&harness, 1, false).await, partners(&harness, 1, true).await), (vec![], vec![2]));
    assert_eq!(partners(&harness, 2, false).await, [1]);
    harness.say(2, 1, "b").await;
    assert_eq!(partners(&harness, 1, false).await, [2]);
    let until = Timestamp::now() + Duration::from_secs(3600);
    let mute = ConversationState { muted_until: Some(Some(until)), ..archive() };
    harness.change_state(&person(1), id, mute).await.unwrap();
    harness.say(2, 1, "c").await;
    assert_eq!(partners(&harness, 1, true).await, [2]);
}

#[tokio::test]
async fn pinned_conversations_are_first() {
    let harness = messaging().await;
    let pinned = harness.say(2, 1, "a").await.conversation_id;
    harness.say(3, 1, "b").await;
    let pin = |is_pinned| ConversationState { is_pinned: Some(is_pinned), ..ConversationState::default() };
    harness.change_state(&person(1), pinned, pin(true)).await.unwrap();
    assert_eq!(partners(&harness, 1, false).await, [2, 3]);
    harness.change_state(&person(1), pinned, pin(false)).await.unwrap();
    assert_eq!(partners(&harness, 1, false).await, [3, 2]);
}

#[tokio::test]
async fn at_most_twenty_conversations_are_pinned() {
    let harness = messaging().await;
    let pin = || ConversationState { is_pinned: Some(true), ..ConversationState::default() };
    for other in 2..=22 {
        let id = harness.say(other, 1, "x").await.conversation_id;
        let expected = if other <= 21 { "ok" } else { "invalid" };
        assert_eq!(code(harness.change_state(&person(1), id, pin()).await), expected);
    }
}

#[tokio::test]
async fn a_draft_and_the_unread_mark_are_kept_until_the_next_message_or_reading() {
    let harness = messaging().await;
    let id = harness.say(2, 1, "a").await.conversation_id;
    let change = ConversationState {
        draft: Some(Some("dear".into())),
        is_marked_unread: Some(true),
        ..ConversationState::default()
    };
    let changed = harness.change_state(&person(1), id, change).await.unwrap();
    assert_eq!((changed.draft.as_deref(), changed.is_marked_unread), (Some("dear"), true));
    assert_eq!(harness.conversation(&person(2), id).await.unwrap().draft, None);
    harness.say(1, 2, "b").await;
    assert_eq!(harness.conversation(&person(1), id).await.unwrap().draft, None);
    guildhall_messaging::Reading::mark_conversation_read(&*harness, &person(1), Target::Conversation(id), None)
        .await
        .unwrap();
    assert!(!harness.conversation(&person(1), id).await.unwrap().is_marked_unread);
    let too_long = ConversationState { draft: Some(Some("x".repeat(10_001))), ..ConversationState::default() };
    assert_eq!(code(harness.change_state(&person(1), id, too_long).await), "invalid");
    let foreign = harness.change_state(&person(3), id, ConversationState::default()).await;
    assert_eq!(code(foreign), "conversation_not_found");
}

#[tokio::test]
async fn a_cleared_conversation_comes_back_with_the_next_message() {
    let harness = messaging().await;
    let id = harness.say(2, 1, "a").await.conversation_id;
    harness.clear(&person(1), id).await.unwrap();
    assert!(harness.inbox(1).await.is_empty());
    assert!(harness.history(1, 2).await.messages.is_empty());
    assert_eq!(harness.history(2, 1).await.messages.len(), 1);
    harness.say(2, 1, "b").await;
    assert_eq!(harness.history(1, 2).await.messages.len(), 1);
    assert_eq!(harness.inbox(1).await[0].unread_count, 1);
}

#[tokio::test]
async fn the_inbox_shows_the_newest_message_that_the_caller_has_not_deleted() {
    let harness = messaging().await;
    let first = harness.say(2, 1, "a").await;
    let second = harness.say(2, 1, "b").await;
    harness.delete(&person(1), second.conversation_id, second.id, DeleteFor::Me).await.unwrap();
    let last = |inbox: Vec<guildhall_messaging::Conversation>| inbox[0].last_message.clone().unwrap().content;
    assert_eq!(last(harness.inbox(1).await), "a");
    assert_eq!(last(harness.inbox(2).await), "b");
    harness.delete(&person(1), first.conversation_id, first.id, DeleteFor::Me).await.unwrap();
    assert!(harness.inbox(1).await.is_empty());
}
