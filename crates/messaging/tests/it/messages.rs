use guildhall_kernel::{CursorQuery, IfMatch, UserId};
use guildhall_messaging::{Changes, DeleteFor, Error, MessagePatch, Messages, NewMessage, Target};

use crate::harness::{INACTIVE, code, contents, ids, messaging, person};

fn to(user: i64) -> Target {
    Target::User(UserId(user))
}

fn with_client_id(content: &str, client_id: &str) -> NewMessage {
    NewMessage { client_id: Some(client_id.into()), ..NewMessage::text(content) }
}

#[tokio::test]
async fn a_message_is_numbered_and_seen_by_both_people() {
    let harness = messaging().await;
    let first = harness.say(1, 2, "hello").await;
    let second = harness.say(2, 1, "hi").await;
    assert_eq!((first.no, second.no, first.conversation_id), (1, 2, second.conversation_id));
    assert_eq!((first.sender_id, first.receiver_id), (Some(UserId(1)), Some(UserId(2))));
    assert_eq!(first.message_type, "text");
    for (user, other) in [(1, 2), (2, 1)] {
        let history = harness.history(user, other).await;
        assert_eq!(contents(&history.messages), ["hello", "hi"]);
        assert_eq!(history.other_user.unwrap().id, UserId(other));
    }
    assert!(harness.history(3, 1).await.messages.is_empty());
}

#[tokio::test]
async fn messages_are_read_by_id_in_their_conversation_only() {
    let harness = messaging().await;
    let (first, second) = (harness.say(1, 2, "one").await, harness.say(2, 1, "two").await);
    let elsewhere = harness.say(1, 3, "three").await;
    let deleted = harness.say(1, 2, "four").await;
    let conversation = first.conversation_id;
    harness.delete(&person(1), conversation, deleted.id, DeleteFor::Everyone).await.unwrap();
    harness.delete(&person(2), conversation, first.id, DeleteFor::Me).await.unwrap();
    let ids = vec![second.id, first.id, elsewhere.id, deleted.id];
    let found = harness.messages_by_id(&person(1), conversation, ids.clone()).await.unwrap();
    assert_eq!(contents(&found), ["one", "two"]);
    let found = harness.messages_by_id(&person(2), conversation, ids.clone()).await.unwrap();
    assert_eq!(contents(&found), ["two"], "the other one is hidden");
    assert_eq!(code(harness.messages_by_id(&person(3), conversation, ids).await), "conversation_not_found");
}

#[tokio::test]
async fn p30_a_message_to_oneself_is_refused() {
    let harness = messaging().await;
    assert_eq!(code(harness.send(&person(1), to(1), NewMessage::text("x")).await), "invalid");
}

#[tokio::test]
async fn p31_a_blank_message_is_refused() {
    let harness = messaging().await;
    for content in ["", "  \n\t", "\u{200b}", "a\u{0}b"] {
        assert_eq!(code(harness.send(&person(1), to(2), NewMessage::text(content)).await), "invalid", "{content:?}");
    }
}

#[tokio::test]
async fn p32_an_unknown_or_inactive_receiver_does_not_exist() {
    let harness = messaging().await;
    for user in [INACTIVE, 5000] {
        assert_eq!(code(harness.send(&person(1), to(user), NewMessage::text("x")).await), "user_not_found");
    }
}

#[tokio::test]
async fn p33_a_message_has_at_most_ten_thousand_characters_after_normalization() {
    let harness = messaging().await;
    let longest = "é".repeat(10_000);
    // Twice as many characters before the normalization.
    let decomposed = "e\u{301}".repeat(10_000);
    assert_eq!(harness.say(1, 2, &decomposed).await.content, longest);
    let too_long = NewMessage::text("é".repeat(10_001));
    assert_eq!(code(harness.send(&person(1), to(2), too_long).await), "invalid");
}

#[tokio::test]
async fn p34_history_is_read_in_pages_in_both_directions() {
    let harness = messaging().await;
    let mut sent = Vec::new();
    for n in 0..7 {
        sent.push(harness.say(1 + n % 2, 2 - n % 2, &n.to_string()).await.id);
    }
    let read = async |cursor| harness.messages_with(&person(2), UserId(1), cursor).await.unwrap();
    let newest = read(CursorQuery::newest(3)).await;
    assert_eq!((ids(&newest.messages), newest.has_more), (sent[4..].to_vec(), true));
    let before = read(CursorQuery::before(sent[4].0, 3)).await;
    assert_eq!((ids(&before.messages), before.has_more), (sent[1..4].to_vec(), true));
    let before = read(CursorQuery::before(sent[1].0, 3)).await;
    assert_eq!((ids(&before.messages), before.has_more), (sent[..1].to_vec(), false));
    let conversation = newest.messages[0].conversation_id;
    let around = harness.messages_around(&person(2), conversation, sent[3], 4).await.unwrap();
    assert_eq!(ids(&around.messages), sent[2..6].to_vec());
    let foreign = harness.say(3, 4, "x").await.id;
    let cursor = CursorQuery::before(foreign.0, 3);
    assert_eq!(code(harness.messages_with(&person(2), UserId(1), cursor).await), "message_not_found");
}

#[tokio::test]
async fn p38_a_type_is_kept_and_an_unknown_one_is_refused() {
    let harness = messaging().await;
    let send = async |message_type: &str| {
        let new = NewMessage { message_type: Some(message_type.into()), ..NewMessage::text("x") };
        harness.send(&person(1), to(2), new).await
    };
    assert_eq!(send("coffee_chat").await.unwrap().message.message_type, "coffee_chat");
    assert_eq!(harness.history(2, 1).await.messages[0].message_type, "coffee_chat");
    for unknown in ["tea", "", "a\0", "Text"] {
        assert_eq!(code(send(unknown).await), "invalid", "{unknown:?}");
    }
}

#[tokio::test]
async fn the_same_client_id_returns_the_first_message_when_the_receiver_is_no_longer_active() {
    let harness = messaging().await;
    let first = harness.send(&person(1), to(2), with_client_id("hello", "a-1")).await.unwrap().message;
    harness.deactivate(2);
    for target in [to(2), Target::Conversation(first.conversation_id)] {
        let again = harness.send(&person(1), target, with_client_id("hello", "a-1")).await.unwrap();
        assert_eq!((again.duplicate, again.message.id), (true, first.id));
        for new in [with_client_id("bye", "a-1"), with_client_id("hello", "a-2"), NewMessage::text("hello")] {
            assert_eq!(code(harness.send(&person(1), target, new).await), "user_not_found");
        }
    }
}

#[tokio::test]
async fn a_failure_to_look_up_the_receiver_is_not_taken_for_an_inactive_one() {
    let harness = messaging().await;
    let first = harness.send(&person(1), to(2), with_client_id("hello", "a-1")).await.unwrap().message;
    harness.fail_to_look_up_people();
    for target in [to(2), Target::Conversation(first.conversation_id)] {
        assert_eq!(code(harness.send(&person(1), target, with_client_id("hello", "a-1")).await), "unavailable");
    }
}

#[tokio::test]
async fn p41_the_same_client_id_returns_the_first_message() {
    let harness = messaging().await;
    let first = harness.send(&person(1), to(2), with_client_id("hello", "a-1")).await.unwrap();
    let again = harness.send(&person(1), to(2), with_client_id("hello", "a-1")).await.unwrap();
    assert_eq!((first.duplicate, again.duplicate), (false, true));
    assert_eq!(first.message, again.message);
    assert_eq!(harness.db.count_rows("messaging_message").await, 1);
    // Another sender has client ids of their own.
    assert!(!harness.send(&person(2), to(1), with_client_id("hello", "a-1")).await.unwrap().duplicate);
    for other in [
        with_client_id("bye", "a-1"),
        NewMessage { message_type: Some("question".into()), ..with_client_id("hello", "a-1") },
    ] {
        assert_eq!(code(harness.send(&person(1), to(2), other).await), "idempotency_mismatch");
    }
    let other_receiver = harness.send(&person(1), to(3), with_client_id("hello", "a-1")).await;
    assert_eq!(code(other_receiver), "idempotency_mismatch");
    for bad in ["", "a b", "é", &"x".repeat(65)] {
        assert_eq!(code(harness.send(&person(1), to(2), with_client_id("x", bad)).await), "invalid", "{bad:?}");
    }
}

#[tokio::test]
async fn a_repeated_message_has_the_same_reply() {
    let harness = messaging().await;
    let first = harness.send(&person(1), to(2), NewMessage::text("a")).await.unwrap().message;
    let second = harness.send(&person(1), to(2), NewMessage::text("b")).await.unwrap().message;
    let reply = |reply_to| NewMessage { reply_to, ..with_client_id("hello", "a-1") };
    harness.send(&person(1), to(2), reply(Some(first.id))).await.unwrap();
    for other in [Some(second.id), None] {
        assert_eq!(code(harness.send(&person(1), to(2), reply(other)).await), "idempotency_mismatch");
    }
    assert!(harness.send(&person(1), to(2), reply(Some(first.id))).await.unwrap().duplicate);
    // The reply stays the same when the retention has deleted what it refers to.
    harness.db.sql(&format!("DELETE FROM messaging_message WHERE id = {}", first.id)).await.unwrap();
    assert!(harness.send(&person(1), to(2), reply(Some(first.id))).await.unwrap().duplicate);
    assert_eq!(code(harness.send(&person(1), to(2), reply(Some(second.id))).await), "idempotency_mismatch");
}

#[tokio::test]
async fn a_repeated_message_is_recognised_after_it_was_changed() {
    let harness = messaging().await;
    let first = harness.send(&person(1), to(2), with_client_id("hello", "a")).await.unwrap().message;
    let patch = MessagePatch { content: "hello!".into() };
    harness.edit(&person(1), first.conversation_id, first.id, patch, IfMatch::default()).await.unwrap();
    let again = harness.send(&person(1), to(2), with_client_id("hello", "a")).await.unwrap();
    assert_eq!((again.message.id, again.message.content.as_str()), (first.id, "hello!"));
    harness.delete(&person(1), first.conversation_id, first.id, DeleteFor::Everyone).await.unwrap();
    assert!(harness.send(&person(1), to(2), with_client_id("hello", "a")).await.unwrap().duplicate);
}

#[tokio::test]
async fn a_reply_refers_to_a_message_of_the_same_conversation() {
    let harness = messaging().await;
    let first = harness.say(1, 2, "hello").await;
    let foreign = harness.say(1, 3, "hello").await;
    let reply = |id| NewMessage { reply_to: Some(id), ..NewMessage::text("yes") };
    let sent = harness.send(&person(2), to(1), reply(first.id)).await.unwrap().message;
    assert_eq!(sent.reply_to, Some(first.id));
    assert_eq!(code(harness.send(&person(2), to(1), reply(foreign.id)).await), "invalid");
}

#[tokio::test]
async fn the_messages_of_others_do_not_exist() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "secret").await;
    let conversation = message.conversation_id;
    assert_eq!(
        code(harness.messages(&person(3), conversation, CursorQuery::newest(5)).await),
        "conversation_not_found"
    );
    assert_eq!(code(harness.message(&person(3), conversation, message.id).await), "message_not_found");
    let around = harness.messages_around(&person(3), conversation, message.id, 5).await;
    assert_eq!(code(around), "conversation_not_found");
    let send = harness.send(&person(3), Target::Conversation(conversation), NewMessage::text("x")).await;
    assert_eq!(code(send), "conversation_not_found");
    assert_eq!(harness.message(&person(2), conversation, message.id).await.unwrap().content, "secret");
}

#[tokio::test]
async fn a_message_to_a_direct_conversation_goes_to_the_other_person() {
    let harness = messaging().await;
    let first = harness.say(1, 2, "hello").await;
    let reply = harness.say_in(2, first.conversation_id, "hi").await;
    assert_eq!((reply.receiver_id, reply.no), (Some(UserId(1)), 2));
}

#[tokio::test]
async fn a_database_error_does_not_look_like_a_missing_message() {
    let harness = messaging().await;
    let message = harness.say(1, 2, "hello").await;
    harness.db.sql("ALTER TABLE messaging_member RENAME TO messaging_gone").await.unwrap();
    let outcome = harness.message(&person(1), message.conversation_id, message.id).await;
    assert!(matches!(outcome, Err(Error::Database(_))), "{outcome:?}");
}
