use guildhall_kernel::{CursorQuery, IfMatch, UserId};
use guildhall_messaging::{Changes, ConversationId, DeleteFor, Groups, MessagePatch, Search};

use crate::harness::{Harness, code, contents, messaging, person};

async fn search(harness: &Harness, user: i64, text: &str, conversation: Option<ConversationId>) -> Vec<String> {
    let cursor = CursorQuery::newest(50);
    let page = harness.search_messages(&person(user), text.into(), conversation, cursor).await.unwrap();
    contents(&page.results).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn p44_the_search_finds_own_messages_only() {
    let harness = messaging().await;
    let first = harness.say(1, 2, "Café at noon?").await;
    harness.say(2, 1, "cafe it is").await;
    harness.say(3, 4, "cafe elsewhere, zqu1 zqc1").await;
    let group = harness.group(&[1, 3]).await;
    harness.say_in(3, group, "group cafe").await;
    assert_eq!(search(&harness, 1, "CAFE", None).await, ["group cafe", "cafe it is", "Café at noon?"]);
    assert_eq!(search(&harness, 2, "caf", None).await, ["cafe it is", "Café at noon?"]);
    assert_eq!(search(&harness, 1, "noon cafe", None).await, ["Café at noon?"]);
    assert_eq!(search(&harness, 1, "cafe", Some(group)).await, ["group cafe"]);
    assert_eq!(search(&harness, 2, "cafe", Some(first.conversation_id)).await.len(), 2);
    assert!(search(&harness, 5, "cafe", None).await.is_empty());
    assert!(search(&harness, 1, "", None).await.is_empty());
    let foreign = harness.search_messages(&person(2), "cafe".into(), Some(group), CursorQuery::newest(5)).await;
    assert_eq!(code(foreign), "conversation_not_found");
}

#[tokio::test]
async fn edited_deleted_and_hidden_messages_leave_the_index() {
    let harness = messaging().await;
    let edited = harness.say(1, 2, "apple").await;
    let deleted = harness.say(1, 2, "banana").await;
    let hidden = harness.say(1, 2, "cherry").await;
    let conversation = edited.conversation_id;
    let patch = MessagePatch { content: "pear".into() };
    harness.edit(&person(1), conversation, edited.id, patch, IfMatch::default()).await.unwrap();
    harness.delete(&person(1), conversation, deleted.id, DeleteFor::Everyone).await.unwrap();
    harness.delete(&person(2), conversation, hidden.id, DeleteFor::Me).await.unwrap();
    assert!(search(&harness, 1, "apple", None).await.is_empty());
    assert_eq!(search(&harness, 2, "pear", None).await, ["pear"]);
    assert!(search(&harness, 1, "banana", None).await.is_empty());
    assert!(search(&harness, 2, "cherry", None).await.is_empty());
    assert_eq!(search(&harness, 1, "cherry", None).await, ["cherry"]);
}

#[tokio::test]
async fn whoever_has_left_a_group_does_not_find_its_messages() {
    let harness = messaging().await;
    let group = harness.group(&[1, 2]).await;
    // The term of the index for the messages of user 2, which does not let them in.
    harness.say_in(1, group, "secret plan zqu2").await;
    harness.remove_member(&person(1), group, UserId(2)).await.unwrap();
    assert!(search(&harness, 2, "secret", None).await.is_empty());
}

#[tokio::test]
async fn a_message_that_names_another_conversation_is_not_found_there() {
    let harness = messaging().await;
    let [own, other] = [harness.group(&[1, 2]).await, harness.group(&[1, 2]).await];
    harness.say_in(1, own, &format!("apple zqc{other}")).await;
    assert!(search(&harness, 2, "apple", Some(other)).await.is_empty());
    assert_eq!(search(&harness, 2, "apple", Some(own)).await.len(), 1);
}

#[tokio::test]
async fn results_are_read_in_pages() {
    let harness = messaging().await;
    for n in 0..5 {
        harness.say(1, 2, &format!("word {n}")).await;
    }
    let read = async |cursor| harness.search_messages(&person(2), "word".into(), None, cursor).await.unwrap();
    let first = read(CursorQuery::newest(2)).await;
    assert_eq!((contents(&first.results), first.next.is_some()), (vec!["word 4", "word 3"], true));
    let rest = read(CursorQuery::before(first.results[1].id.0, 5)).await;
    assert_eq!((contents(&rest.results), rest.next), (vec!["word 2", "word 1", "word 0"], None));
}
