//! Encryption of what people have written.

use std::sync::Arc;

use guildhall_kernel::{
    CursorQuery, IfMatch, UserId, UserRemoval,
    cipher::KeyRing,
    db::sqlite_file,
    doctor::Severity,
    testing::{TestClock, TestDb, assert_plans},
};
use guildhall_messaging::{
    Changes, ConversationId, ConversationState, Conversations, DeleteFor, Message, MessagePatch, Messages, NewMessage,
    Removal, Search, Settings, Target,
};
use guildhall_realtime::StreamName;
use sea_orm_migration::MigrationTrait;

use crate::harness::{Harness, Outside, all_migrations, code, contents, messaging, person};

const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "new:HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

/// Every text of the tests contains it. The words are not in the order of the alphabet, as the index has them.
const MARKER: &str = "zebra quokka";

fn keys(keys: &[&str]) -> KeyRing {
    KeyRing::parse(keys, true).unwrap()
}

async fn encrypted(connections: u32) -> Harness {
    open(TestDb::with_connections(all_migrations, connections).await).await
}

/// The services with keys, on a database.
async fn open(db: TestDb) -> Harness {
    let clock = TestClock::default();
    let outside = Outside::open(&db, &clock, None).await;
    Harness::open(db, clock, Settings::default().without_limits(), keys(&[OLD]), outside)
}

async fn edit(harness: &Harness, message: &Message, content: &str) -> Message {
    let patch = MessagePatch { content: content.into() };
    harness.edit(&person(1), message.conversation_id, message.id, patch, IfMatch::default()).await.unwrap()
}

async fn draft(harness: &Harness, conversation: ConversationId, text: &str) -> Option<String> {
    let change = ConversationState { draft: Some(Some(text.into())), ..ConversationState::default() };
    harness.change_state(&person(1), conversation, change).await.unwrap().draft
}

/// Writes in all places that have a text: a message that is edited twice, a reply, one in a group, and a draft. Returns
/// the edited message.
async fn write_everything(harness: &Harness) -> Message {
    let message = harness.say(1, 2, &format!("{MARKER} one")).await;
    edit(harness, &message, &format!("{MARKER} two")).await;
    let edited = edit(harness, &message, &format!("{MARKER} three")).await;
    let reply = NewMessage { reply_to: Some(message.id), ..NewMessage::text(format!("{MARKER} reply")) };
    harness.send(&person(2), Target::User(UserId(1)), reply).await.unwrap();
    let group = harness.group(&[1, 2, 3]).await;
    harness.say_in(1, group, &format!("{MARKER} group")).await;
    draft(harness, message.conversation_id, &format!("{MARKER} draft")).await;
    edited
}

/// All columns of the database, except those of the index.
async fn columns(harness: &Harness) -> Vec<(String, String)> {
    let sql = match sqlite_file(harness.db.url()) {
        Some(_) => {
            "SELECT t.name || '.' || c.name FROM pragma_table_list t, pragma_table_info(t.name) c \
             WHERE t.schema = 'main' AND t.type = 'table'"
        }
        None => {
            "SELECT table_name::text || '.' || column_name::text FROM information_schema.columns \
             WHERE table_schema = 'public' AND data_type <> 'tsvector'"
        }
    };
    let split = |name: String| name.split_once('.').map(|(table, column)| (table.to_owned(), column.to_owned()));
    harness.db.query_texts(sql).await.into_iter().filter_map(split).collect()
}

/// The columns that contain the marker.
async fn plain(harness: &Harness) -> Vec<String> {
    let mut found = Vec::new();
    for (table, column) in columns(harness).await {
        let sql = format!(
            "SELECT CAST(COUNT(*) AS text) FROM \"{table}\" WHERE CAST(\"{column}\" AS text) LIKE '%{MARKER}%'"
        );
        if harness.db.query_texts(&sql).await != ["0"] {
            found.push(format!("{table}.{column}"));
        }
    }
    found.sort();
    found
}

const PLACES: [&str; 4] =
    ["messaging_member.draft", "messaging_message.content", "messaging_revision.content", "realtime_event.body"];

async fn search(harness: &Harness, text: &str) -> Vec<String> {
    let page = harness.search_messages(&person(1), text.into(), None, CursorQuery::newest(50)).await.unwrap();
    contents(&page.results).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_people_write_is_in_no_table_in_plain_text() {
    let harness = encrypted(1).await;
    write_everything(&harness).await;
    assert_eq!(plain(&harness).await, [""; 0]);
    let harness = messaging().await;
    write_everything(&harness).await;
    assert_eq!(plain(&harness).await, PLACES, "without keys it is, and is found");
}

#[tokio::test]
async fn the_files_of_an_embedded_database_never_contained_it() {
    let harness = encrypted(1).await;
    let Some(file) = sqlite_file(harness.db.url()) else { return };
    let message = write_everything(&harness).await;
    harness.delete(&person(1), message.conversation_id, message.id, DeleteFor::Everyone).await.unwrap();
    for suffix in ["", "-wal"] {
        let path = format!("{}{suffix}", file.display());
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes()), "{path}");
    }
}

#[tokio::test]
async fn people_read_what_was_written() {
    let harness = encrypted(1).await;
    let edited = write_everything(&harness).await;
    let (caller, conversation) = (person(2), edited.conversation_id);
    assert_eq!(edited.content, "zebra quokka three");
    assert_eq!(contents(&harness.history(2, 1).await.messages), ["zebra quokka three", "zebra quokka reply"]);
    assert_eq!(harness.message(&caller, conversation, edited.id).await.unwrap().content, "zebra quokka three");
    let revisions = harness.revisions(&caller, conversation, edited.id).await.unwrap();
    let revisions: Vec<&str> = revisions.iter().map(|revision| revision.content.as_str()).collect();
    assert_eq!(revisions, ["zebra quokka one", "zebra quokka two"]);
    let inbox = harness.inbox(1).await;
    let last: Vec<&str> = inbox.iter().filter_map(|one| Some(one.last_message.as_ref()?.content.as_str())).collect();
    assert_eq!(last, ["zebra quokka group", "zebra quokka reply"]);
    assert_eq!(inbox[1].draft.as_deref(), Some("zebra quokka draft"));
    assert_eq!(draft(&harness, conversation, "").await, None);
    let snapshot = harness.db.snapshot().await.unwrap();
    let (_, data) = Removal::new(&harness.messaging).export(&snapshot, UserId(1)).await.unwrap();
    assert_eq!(data["messages"][0]["content"], "zebra quokka group");
    assert_eq!(data["messages"][1]["content"], "zebra quokka three");
}

#[tokio::test]
async fn whoever_resumes_a_stream_gets_what_was_written() {
    let harness = encrypted(1).await;
    let message = harness.say(1, 2, MARKER).await;
    for stream in [format!("conversation/{}", message.conversation_id), "user/2".to_owned()] {
        let stream: StreamName = stream.parse().unwrap();
        let page = harness.streams.read(&stream, 0).await.unwrap();
        let body: serde_json::Value = serde_json::from_str(page.frames[0].body()).unwrap();
        assert_eq!(body["message"]["content"], MARKER);
    }
}

#[tokio::test]
async fn a_message_that_is_sent_again_is_recognized() {
    let harness = encrypted(1).await;
    let send = async |content: &str| {
        let new = NewMessage { client_id: Some("a".into()), ..NewMessage::text(content) };
        harness.send(&person(1), Target::User(UserId(2)), new).await
    };
    let first = send(MARKER).await.unwrap().message;
    assert!(send(MARKER).await.unwrap().duplicate);
    assert_eq!(code(send("another").await), "idempotency_mismatch");
    edit(&harness, &first, "edited").await;
    assert!(send(MARKER).await.unwrap().duplicate);
    assert_eq!(code(send("edited").await), "idempotency_mismatch");
}

#[tokio::test]
async fn a_text_in_the_row_of_another_is_not_read() {
    let harness = encrypted(1).await;
    let first = harness.say(1, 2, "pay Anna").await;
    let second = harness.say(1, 2, "pay Bob").await;
    let edited = edit(&harness, &first, "pay Cleo").await;
    let moves = [
        format!(
            "UPDATE messaging_message SET content = (SELECT content FROM messaging_message WHERE id = {}) \
             WHERE id = {}",
            second.id, edited.id
        ),
        "UPDATE messaging_revision SET content = (SELECT MAX(content) FROM messaging_message)".to_owned(),
        "UPDATE realtime_event SET body = (SELECT e.body FROM realtime_event e WHERE e.seq = 2 \
         AND e.stream_id = realtime_event.stream_id) WHERE seq = 1"
            .to_owned(),
    ];
    for sql in moves {
        harness.db.sql(&sql).await.unwrap();
    }
    let seen = harness.history(2, 1).await.messages;
    assert_eq!(contents(&seen), ["", "pay Bob"]);
    assert_eq!((seen[0].is_unreadable, seen[1].is_unreadable), (true, false));
    let revisions = harness.revisions(&person(2), first.conversation_id, first.id).await.unwrap();
    assert!(revisions[0].is_unreadable && revisions[0].content.is_empty());
    let stream = StreamName::new("conversation", first.conversation_id.0);
    let page = harness.streams.read(&stream, 0).await.unwrap();
    assert_eq!(page.frames[0].body(), r#"{"type":"unreadable"}"#);
    assert!(page.frames[1].body().contains("pay Bob"));
}

#[tokio::test]
async fn without_their_key_messages_are_listed_and_reported_but_not_read() {
    let harness = encrypted(1).await;
    let message = write_everything(&harness).await;
    let harness = harness.restart(keys(&[NEW]));
    let seen = harness.history(2, 1).await.messages;
    assert!(seen.iter().all(|message| message.is_unreadable && message.content.is_empty()));
    assert!(harness.inbox(1).await.iter().all(|conversation| conversation.draft.is_none()));
    assert_eq!(search(&harness, "quokka").await.len(), 3);
    let missing = harness.missing_keys().await.unwrap();
    let missing: Vec<_> = missing.iter().map(|used| (used.column, used.key_id.as_str(), used.rows)).collect();
    let expected = [
        ("messaging_message.content", "old", 4),
        ("messaging_revision.content", "old", 2),
        ("messaging_member.draft", "old", 1),
    ];
    assert_eq!(missing, expected);
    assert_eq!(harness.streams.missing_keys().await.unwrap()[0].key_id, "old");
    assert_eq!(harness.examine_keys().await.unwrap().severity, Severity::Error);
    // The old content is kept as it is, for when the key is back.
    edit(&harness, &message, "new").await;
    let outcome = harness.reencrypt(|_, _| {}).await.unwrap();
    assert_eq!((outcome.changed, outcome.unreadable), (0, 7));
    let harness = harness.restart(keys(&[NEW, OLD]));
    assert_eq!(contents(&harness.history(2, 1).await.messages), ["new", "zebra quokka reply"]);
    let revisions = harness.revisions(&person(2), message.conversation_id, message.id).await.unwrap();
    assert_eq!(revisions[2].content, "zebra quokka three");
    assert!(harness.missing_keys().await.unwrap().is_empty());
}

#[tokio::test]
async fn to_find_the_keys_in_use_no_table_is_read() {
    let harness = encrypted(1).await;
    write_everything(&harness).await;
    let harness = harness.restart(keys(&[NEW]));
    let missing = assert_plans(&harness.db, "messaging_", "missing keys", harness.missing_keys()).await;
    assert_eq!(missing.unwrap().len(), 3);
}

#[tokio::test]
async fn keys_are_changed_while_messages_are_sent() {
    let harness = encrypted(4).await;
    let first = write_everything(&harness).await;
    for n in 0..450 {
        harness.say(1, 2, &format!("{MARKER} {n}")).await;
    }
    let harness = Arc::new(harness.restart(keys(&[NEW, OLD])));
    let rotating = harness.clone();
    let rotation = tokio::spawn(async move {
        let outcome = rotating.messaging.reencrypt(|_, _| {}).await.unwrap();
        rotating.streams.reencrypt(|_, _| {}).await.unwrap();
        outcome
    });
    for n in 0..20 {
        harness.say(2, 1, &format!("meanwhile {n}")).await;
        edit(&harness, &first, &format!("{MARKER} edit {n}")).await;
    }
    assert_eq!(rotation.await.unwrap().unreadable, 0);
    let harness = Arc::into_inner(harness).unwrap().restart(keys(&[NEW]));
    assert!(harness.missing_keys().await.unwrap().is_empty());
    assert!(harness.streams.missing_keys().await.unwrap().is_empty());
    assert_eq!(harness.examine_keys().await.unwrap().severity, Severity::Ok);
    assert_eq!(harness.streams.examine_keys().await.unwrap().severity, Severity::Ok);
    let message = harness.message(&person(2), first.conversation_id, first.id).await.unwrap();
    assert_eq!(message.content, "zebra quokka edit 19");
    let revisions = harness.revisions(&person(2), first.conversation_id, first.id).await.unwrap();
    assert!(revisions.len() == 22 && revisions.iter().all(|revision| !revision.is_unreadable));
    assert_eq!(contents(&harness.history(2, 1).await.messages[..1]), ["zebra quokka 420"]);
}

#[tokio::test]
async fn encryption_is_turned_on_and_off_later() {
    let harness = messaging().await;
    write_everything(&harness).await;
    let harness = harness.restart(keys(&[OLD]));
    assert_eq!(search(&harness, "quokka").await.len(), 3, "what was not encrypted is still read");
    assert_eq!(harness.examine_keys().await.unwrap().severity, Severity::Note);
    let outcome = harness.reencrypt(|_, _| {}).await.unwrap();
    // Three messages, the notice of the group, two revisions, and a draft.
    assert_eq!((outcome.changed, outcome.unreadable), (7, 0));
    harness.streams.reencrypt(|_, _| {}).await.unwrap();
    assert_eq!(plain(&harness).await, [""; 0]);
    assert_eq!(search(&harness, "quokka three").await, ["zebra quokka three"]);
    assert_eq!(harness.reencrypt(|_, _| {}).await.unwrap().changed, 0, "nothing is left");
    let harness = harness.restart(KeyRing::parse([OLD], false).unwrap());
    assert_eq!(contents(&harness.history(2, 1).await.messages), ["zebra quokka three", "zebra quokka reply"]);
    assert_eq!(harness.reencrypt(|_, _| {}).await.unwrap().changed, 7);
    harness.streams.reencrypt(|_, _| {}).await.unwrap();
    let harness = harness.restart(KeyRing::default());
    assert_eq!(plain(&harness).await, PLACES);
    assert_eq!(search(&harness, "quokka three").await, ["zebra quokka three"]);
}

#[tokio::test]
async fn encrypted_messages_are_found_until_they_are_edited_or_deleted() {
    let harness = encrypted(1).await;
    let edited = harness.say(1, 2, "apple pie").await;
    let deleted = harness.say(1, 2, "banana pie").await;
    let erased = harness.say(1, 2, "cherry pie").await;
    assert_eq!(search(&harness, "pie app").await, ["apple pie"]);
    assert_eq!(search(&harness, "pie").await.len(), 3);
    edit(&harness, &edited, "pear pie").await;
    harness.delete(&person(1), deleted.conversation_id, deleted.id, DeleteFor::Everyone).await.unwrap();
    harness.db.sql(&format!("DELETE FROM messaging_message WHERE id = {}", erased.id)).await.unwrap();
    assert!(search(&harness, "apple").await.is_empty());
    assert_eq!(search(&harness, "pie").await, ["pear pie"]);
    let indexed = match sqlite_file(harness.db.url()) {
        Some(_) => {
            "SELECT CAST(rowid AS text) FROM messaging_message_words WHERE messaging_message_words MATCH 'pie OR apple'"
        }
        None => "SELECT id::text FROM messaging_message WHERE words @@ to_tsquery('simple', 'pie | apple')",
    };
    assert_eq!(harness.db.query_texts(indexed).await, [edited.id.to_string()]);
}

#[tokio::test]
async fn a_message_that_looks_encrypted_is_a_message() {
    let harness = encrypted(1).await;
    harness.say(1, 2, "a secret").await;
    let stored = harness.db.query_texts("SELECT content FROM messaging_message").await.remove(0);
    harness.say(1, 2, &stored).await;
    let harness = harness.restart(KeyRing::parse([OLD], false).unwrap());
    harness.say(1, 2, &stored).await;
    assert_eq!(contents(&harness.history(2, 1).await.messages), ["a secret", &stored, &stored]);
}

fn migrations_before() -> Vec<Box<dyn MigrationTrait>> {
    let is_later = |name: &str| name.ends_with("_messaging_keys") || name.ends_with("_messaging_words");
    all_migrations().into_iter().filter(|migration| !is_later(migration.name())).collect()
}

#[tokio::test]
async fn a_message_from_before_the_index_had_no_text_is_found() {
    let db = TestDb::new(migrations_before).await;
    let rows = "INSERT INTO messaging_conversation \
            (id, kind, name, pair_low, pair_high, last_no, member_count, created_at, updated_at) \
            VALUES (1, 'direct', '', 1, 2, 1, 2, 1, 1); \
        INSERT INTO messaging_member (conversation_id, user_id, state, joined_no, joined_at, last_read_no, cleared_no, \
            unread_count, is_marked_unread) VALUES (1, 1, 'active', 0, 1, 0, 0, 0, false), \
            (1, 2, 'active', 0, 1, 0, 0, 0, false); \
        INSERT INTO messaging_message (conversation_id, no, sender_id, receiver_id, type_id, content, search_text, \
            is_system, created_at) SELECT 1, 1, 1, 2, id, 'A zebra', 'zqc1 zqu1 zqu2 a zebra', false, 1 \
            FROM messaging_message_type WHERE name = 'text'";
    db.sql(rows).await.unwrap();
    db.migrate(all_migrations).await.unwrap();
    let harness = open(db).await;
    assert_eq!(search(&harness, "zeb").await, ["A zebra"]);
}
