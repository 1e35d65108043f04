use guildhall_kernel::{
    CursorQuery, UserId,
    testing::{assert_plans, assert_reads_by_id},
};
use guildhall_messaging::{
    Blocks, Changes, ChosenPreferences, Conversations, DeleteFor, Groups, InboxFilter, Messages, NewMessage, People,
    Reactions, Reading, Requests, Search, Target,
};

use crate::harness::{Harness, messaging, person};

/// Runs a call and checks the plans of its queries. The call has to succeed.
macro_rules! check_plans {
    ($harness:expr, $what:expr, $run:expr) => {
        assert_plans(&$harness.db, "messaging_", $what, async { $run.await.unwrap() }).await
    };
}

async fn filled() -> Harness {
    let harness = messaging().await;
    for other in 2..=5 {
        harness.say(other, 1, "hello").await;
        harness.say(1, other, "hi").await;
    }
    harness
}

#[tokio::test]
async fn no_query_reads_a_whole_table() {
    let harness = filled().await;
    let message = harness.say(2, 1, "one more").await;
    let (id, conversation, caller) = (message.id, message.conversation_id, person(1));
    let group = harness.group(&[1, 2, 3]).await;
    let newest = || CursorQuery::newest(5);
    for archived in [false, true] {
        for message_type in [None, Some("text".to_owned())] {
            let filter = InboxFilter { archived, message_type, ..InboxFilter::default() };
            check_plans!(harness, "inbox", harness.conversations(&caller, filter.clone(), newest()));
            check_plans!(harness, "inbox", harness.conversations(&caller, filter, CursorQuery::before(1000, 5)));
        }
    }
    check_plans!(harness, "requests", harness.requests(&caller, newest()));
    check_plans!(harness, "conversation", harness.conversation(&caller, conversation));
    check_plans!(harness, "history", harness.messages_with(&caller, UserId(2), newest()));
    check_plans!(harness, "history", harness.messages_with(&caller, UserId(2), CursorQuery::before(id.0, 5)));
    check_plans!(harness, "around", harness.messages_around(&caller, conversation, id, 5));
    let by_id = harness.messages_by_id(&caller, conversation, vec![id]);
    assert_eq!(assert_reads_by_id(&harness.db, "m", by_id).await.unwrap().len(), 1);
    check_plans!(harness, "unread", harness.unread_count(&caller));
    check_plans!(harness, "members", harness.members(&caller, group));
    check_plans!(harness, "visible", harness.conversations_of(caller.user, &[conversation, group]));
    check_plans!(harness, "blocks", harness.blocks(&caller, newest()));
    check_plans!(harness, "people", harness.search_users(&caller, "person".into(), 5));
    check_plans!(harness, "preferences", harness.preferences(&caller));
    check_plans!(harness, "search", harness.search_messages(&caller, "hello".into(), None, newest()));
    check_plans!(harness, "search", harness.search_messages(&caller, "hel".into(), Some(conversation), newest()));
    let to = Target::User(UserId(2));
    check_plans!(harness, "send", harness.send(&caller, to, NewMessage::text("x")));
    check_plans!(harness, "send", harness.send(&caller, Target::Conversation(group), NewMessage::text("x")));
    check_plans!(harness, "react", harness.react(&caller, conversation, id, "👍".into()));
    check_plans!(harness, "read", harness.mark_read(&caller, id));
    check_plans!(harness, "delete", harness.delete(&caller, conversation, id, DeleteFor::Me));
    check_plans!(harness, "clear", harness.clear(&caller, conversation));
    check_plans!(harness, "leave", harness.leave(&caller, group));
}

#[tokio::test]
async fn the_number_of_queries_does_not_depend_on_the_number_of_messages() {
    let harness = filled().await;
    let count = async || {
        let before = harness.db.statements();
        harness.inbox(1).await;
        harness.history(1, 2).await;
        harness.unread_count(&person(1)).await.unwrap();
        harness.db.statements() - before
    };
    let few = count().await;
    for n in 0..40 {
        harness.say(2 + n % 4, 1, "more").await;
    }
    assert_eq!(count().await, few);
}
