use guildhall_chat::{Changes, MessageType, Messages, NewFile, NewMessage, NewRoom, Participants, RoomId};
use guildhall_kernel::UserId;

use crate::harness::{Harness, chat, code, person};

fn file(content: &str, client_id: Option<&str>) -> NewFile {
    let client_id = client_id.map(str::to_owned);
    NewFile {
        name: "notes.txt".to_owned(),
        content_type: "text/plain".to_owned(),
        bytes: "hello".into(),
        message: NewMessage { client_id, ..NewMessage::text(content) },
    }
}

async fn stored(harness: &Harness) -> i64 {
    harness.db.count_rows("files_file").await
}

#[tokio::test]
async fn a_file_is_a_message_with_a_signed_address() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let sent = harness.send_file(&person(2), room, file("", None)).await.unwrap().message;
    assert_eq!((sent.message_type, sent.content.as_str()), (MessageType::File, ""));
    let shown = sent.file.unwrap();
    assert_eq!((shown.name.as_str(), shown.size, shown.content_type.as_str()), ("notes.txt", 5, "text/plain"));
    assert!(shown.url.starts_with("https://example.org/api/files/") && shown.url.contains("s="), "{}", shown.url);
    let event = harness.events(room).await.pop().unwrap();
    let url = format!("https://example.org/api/chat/{room}/messages/{}/file/", sent.id);
    assert_eq!(event["file"]["url"], url, "events contain no signed address");
    let other = harness.message(&person(1), room, sent.id).await.unwrap().file.unwrap();
    assert_ne!(other.url, shown.url, "each viewer has an address");
}

#[tokio::test]
async fn only_participants_of_rooms_that_allow_it_send_files() {
    let harness = chat().await;
    let room = harness.room_with(1, &[2], NewRoom { allow_file_uploads: false, ..NewRoom::named("den") }).await;
    assert_eq!(code(harness.send_file(&person(2), room, file("x", None)).await), "files_not_allowed");
    assert_eq!(code(harness.send_file(&person(3), room, file("x", None)).await), "not_participant");
    assert_eq!(code(harness.send_file(&person(2), RoomId(4711), file("x", None)).await), "room_not_found");
    assert_eq!(stored(&harness).await, 0);
}

#[tokio::test]
async fn a_file_is_sent_once_for_a_client_id() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    let first = harness.send_file(&person(1), room, file("x", Some("a"))).await.unwrap();
    let again = harness.send_file(&person(1), room, file("x", Some("a"))).await.unwrap();
    assert_eq!((first.message.id, again.duplicate), (again.message.id, true));
    let text = NewMessage { client_id: Some("a".into()), ..NewMessage::text("x") };
    assert_eq!(code(harness.send(&person(1), room, text).await), "idempotency_mismatch");
    assert_eq!(stored(&harness).await, 1);
}

#[tokio::test]
async fn a_repeated_file_has_the_same_name_and_content() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let new = || file("x", Some("a"));
    let sent = harness.send_file(&person(2), room, new()).await.unwrap().message;
    for other in [
        NewFile { name: "other.txt".to_owned(), ..new() },
        NewFile { bytes: "hallo".into(), ..new() },
        NewFile { bytes: "hello!".into(), ..new() },
        NewFile { message: NewMessage { reply_to: Some(sent.id), ..new().message }, ..new() },
    ] {
        assert_eq!(code(harness.send_file(&person(2), room, other).await), "idempotency_mismatch");
    }
    assert!(harness.send_file(&person(2), room, new()).await.unwrap().duplicate);
    harness.remove(&person(1), room, UserId(2)).await.unwrap();
    assert_eq!(code(harness.send_file(&person(2), room, new()).await), "not_participant");
    assert_eq!(stored(&harness).await, 1);
}

#[tokio::test]
async fn the_file_goes_with_its_message() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    let sent = harness.send_file(&person(1), room, file("x", None)).await.unwrap().message;
    harness.delete(&person(1), room, sent.id).await.unwrap();
    assert_eq!(stored(&harness).await, 0);
    assert_eq!(harness.message(&person(1), room, sent.id).await.unwrap().file, None);
    harness.send_file(&person(1), room, file("x", None)).await.unwrap();
    harness.db.sql(&format!("DELETE FROM chat_room WHERE id = {room}")).await.unwrap();
    assert_eq!(stored(&harness).await, 0);
}

/// A PNG file of one grey pixel.
const PNG: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\
    \x9bU\x00\x00\x00\x0aIDATx\x9cc\xa8\x07\x00\x00\x81\x00\x80\xd3\x94SJ\x00\x00\x00\x00IEND\xaeB`\x82";

#[tokio::test]
async fn a_picture_is_stored_without_metadata_and_what_is_none_is_refused() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let picture = |bytes: &[u8]| NewFile {
        content_type: "image/png".into(),
        bytes: bytes.to_vec().into(),
        ..file("", Some("picture"))
    };
    assert_eq!(code(harness.send_file(&person(2), room, picture(b"<html>")).await), "invalid");
    let sent = harness.send_file(&person(2), room, picture(PNG)).await.unwrap().message;
    assert_eq!(sent.file.unwrap().content_type, "image/jpeg", "it was encoded again");
    assert!(harness.send_file(&person(2), room, picture(PNG)).await.unwrap().duplicate);
}
