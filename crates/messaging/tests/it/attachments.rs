use std::{collections::BTreeMap, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Uri},
};
use guildhall_files::{Signature, Upload};
use guildhall_kernel::{
    Caller, CursorQuery, UserId, UserRemoval, db,
    job::Job,
    testing::{TestClient, assert_plans, signed_in_as},
};
use guildhall_messaging::{
    Attachment, AttachmentId, Attachments, Changes, ConversationId, Conversations, DeleteFor, Groups, Messages,
    MessagingState, NewMessage, Removal, Search, Settings, Target, router,
};
use guildhall_realtime::{StreamHandler, StreamName};
use serde_json::{Value, json};

use crate::harness::{Harness, INACTIVE, code, messaging, messaging_with, person};

/// A GIF image of one pixel.
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b";

fn file(name: &str, content_type: &str, bytes: &'static [u8]) -> Upload {
    Upload { name: name.into(), content_type: content_type.into(), bytes: bytes.into(), fields: BTreeMap::new() }
}

async fn upload(harness: &Harness, user: i64) -> Attachment {
    harness.upload(&person(user), file("notes.txt", "text/plain", b"hello")).await.unwrap()
}

fn with(ids: &[AttachmentId]) -> NewMessage {
    NewMessage { attachments: ids.to_vec(), ..NewMessage::default() }
}

fn to(user: i64) -> Target {
    Target::User(UserId(user))
}

/// The status of a download, for a caller or with the signature of a URL.
async fn download(harness: &Harness, caller: Option<Caller>, attachment: &Attachment, url: &str) -> u16 {
    let uri: Uri = url.parse().unwrap();
    let signature = axum::extract::Query::<Signature>::try_from_uri(&uri).unwrap().0;
    match harness.download(caller, attachment.id, attachment.name.clone(), signature).await {
        Ok(response) => response.status().as_u16(),
        Err(error) => guildhall_kernel::Error::from(error).kind().status().as_u16(),
    }
}

/// The status of a download of a text by a signed-in user.
async fn fetch(harness: &Harness, user: i64, attachment: &Attachment) -> u16 {
    download(harness, Some(person(user)), attachment, "/").await
}

/// Sends a text as an attachment; the conversation and the attachment as the sender sees it.
async fn send_file(harness: &Harness, from: i64, target: Target) -> (ConversationId, Attachment) {
    let id = upload(harness, from).await.id;
    let mut message = harness.send(&person(from), target, with(&[id])).await.unwrap().message;
    (message.conversation_id, message.attachments.remove(0))
}

#[tokio::test]
async fn p43_an_attachment_is_shown_to_both_people_and_nobody_else() {
    let harness = messaging().await;
    let text = upload(&harness, 1).await;
    assert_eq!((text.name.as_str(), text.content_type.as_str(), text.size), ("notes.txt", "text/plain", 5));
    assert_eq!((text.width, &text.preview_url), (None, &None));
    let picture = harness.upload(&person(1), file("a.gif", "image/gif", GIF)).await.unwrap();
    assert_eq!((picture.width, picture.height, picture.content_type.as_str()), (Some(1), Some(1), "image/jpeg"));
    assert!(picture.preview_url.unwrap().contains("v=small") && picture.medium_url.unwrap().contains("v=medium"));
    let message = harness.send(&person(1), to(2), with(&[picture.id, text.id])).await.unwrap().message;
    let names = |attachments: &[Attachment]| -> Vec<String> {
        attachments.iter().map(|attachment| attachment.name.clone()).collect()
    };
    let expected = ["a.gif", "notes.txt"];
    assert_eq!(names(&message.attachments), expected);
    let shown = harness.history(2, 1).await.messages.remove(0).attachments;
    assert_eq!(names(&shown), expected);
    assert_eq!(names(&harness.inbox(2).await[0].last_message.as_ref().unwrap().attachments), expected);
    let one = harness.message(&person(2), message.conversation_id, message.id).await.unwrap();
    assert_eq!(names(&one.attachments), expected);
    let url = &shown[1].url;
    assert!(url.starts_with("https://example.org/messaging/api/attachments/") && url.contains("u=2&"), "{url}");
    assert_eq!(download(&harness, None, &shown[1], url).await, 200);
    assert_eq!([fetch(&harness, 1, &shown[1]).await, fetch(&harness, 2, &shown[1]).await], [200, 200]);
    assert_eq!(fetch(&harness, 3, &shown[1]).await, 404);
    assert_eq!(download(&harness, None, &shown[1], "/").await, 401);
    assert_eq!(download(&harness, None, &shown[1], &url.replace("u=2", "u=1")).await, 404);
    assert_eq!(download(&harness, None, &shown[0], url).await, 404, "the signature is of the other file");
    harness.clock.advance(Duration::from_secs(3601));
    assert_eq!(download(&harness, None, &shown[1], url).await, 404);
}

#[tokio::test]
async fn only_own_uploads_that_were_not_sent_are_attached() {
    let harness = messaging().await;
    let (own, foreign) = (upload(&harness, 1).await, upload(&harness, 2).await);
    let send = async |ids: &[AttachmentId]| code(harness.send(&person(1), to(2), with(ids)).await);
    assert_eq!(send(&[own.id, foreign.id]).await, "invalid");
    assert_eq!(send(&[AttachmentId(4711)]).await, "invalid");
    assert_eq!(send(&[own.id, own.id]).await, "invalid");
    assert_eq!(harness.db.count_rows("messaging_message").await, 0);
    assert_eq!([fetch(&harness, 1, &own).await, fetch(&harness, 2, &own).await], [200, 404]);
    assert_eq!(send(&[own.id]).await, "ok");
    assert_eq!(send(&[own.id]).await, "invalid");
    let mut eleven = Vec::new();
    for _ in 0..11 {
        eleven.push(upload(&harness, 1).await.id);
    }
    assert_eq!(send(&eleven).await, "invalid");
    assert_eq!(send(&eleven[1..]).await, "ok");
    let blank = NewMessage { content: " \n".into(), ..with(&eleven[..1]) };
    assert_eq!(harness.send(&person(1), to(2), blank).await.unwrap().message.content, "");
    assert_eq!(send(&[]).await, "invalid", "without an attachment a message has content");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_sent_twice_at_once_is_sent_once() {
    let harness = messaging_with(4, Settings::default().without_limits()).await;
    let id = upload(&harness, 1).await.id;
    let sends = (2..=5).map(|receiver| {
        let messaging = harness.messaging.clone();
        tokio::spawn(async move { code(messaging.send(&person(1), to(receiver), with(&[id])).await) })
    });
    let mut outcomes = Vec::new();
    for send in sends.collect::<Vec<_>>() {
        outcomes.push(send.await.unwrap());
    }
    outcomes.sort();
    assert_eq!(outcomes, ["invalid", "invalid", "invalid", "ok"]);
}

#[tokio::test]
async fn the_same_client_id_with_other_attachments_is_another_message() {
    let harness = messaging().await;
    let (one, other) = (upload(&harness, 1).await.id, upload(&harness, 1).await.id);
    let send = async |ids: &[AttachmentId]| {
        harness.send(&person(1), to(2), NewMessage { client_id: Some("c".into()), ..with(ids) }).await
    };
    let first = send(&[one, other]).await.unwrap();
    let again = send(&[one, other]).await.unwrap();
    assert_eq!((first.duplicate, again.duplicate, &again.message), (false, true, &first.message));
    for ids in [&[other, one][..], &[one]] {
        assert_eq!(code(send(ids).await), "idempotency_mismatch");
    }
}

#[tokio::test]
async fn whoever_may_no_longer_read_the_message_gets_404_for_its_file() {
    let harness = messaging().await;
    let group = harness.group(&[1, 2, 3]).await;
    let (_, attachment) = send_file(&harness, 1, Target::Conversation(group)).await;
    let signed = harness.messages(&person(2), group, CursorQuery::newest(1)).await.unwrap().messages.remove(0);
    let url = signed.attachments[0].url.clone();
    assert_eq!(download(&harness, None, &attachment, &url).await, 200);
    harness.remove_member(&person(1), group, UserId(2)).await.unwrap();
    assert_eq!(fetch(&harness, 2, &attachment).await, 404);
    assert_eq!(download(&harness, None, &attachment, &url).await, 404, "also at a URL that is still signed");
    harness.delete(&person(3), group, signed.id, DeleteFor::Me).await.unwrap();
    assert_eq!(fetch(&harness, 3, &attachment).await, 404);
    assert_eq!(fetch(&harness, 1, &attachment).await, 200);
    harness.clear(&person(1), group).await.unwrap();
    assert_eq!(fetch(&harness, 1, &attachment).await, 404);
}

#[tokio::test]
async fn a_signed_url_ends_with_the_account() {
    let harness = messaging().await;
    let attachment = upload(&harness, INACTIVE).await;
    assert_eq!(download(&harness, None, &attachment, &attachment.url).await, 404);
}

#[tokio::test]
async fn files_go_with_their_message() {
    let harness = messaging().await;
    let (conversation, attachment) = send_file(&harness, 1, to(2)).await;
    let message = harness.history(1, 2).await.messages.remove(0);
    assert_eq!(harness.stored_files().await, 1);
    harness.delete(&person(1), conversation, message.id, DeleteFor::Everyone).await.unwrap();
    assert_eq!(fetch(&harness, 1, &attachment).await, 404);
    assert!(harness.history(2, 1).await.messages[0].attachments.is_empty());
    assert_eq!((harness.stored_files().await, harness.db.count_rows("files_file").await), (0, 0));
    let group = harness.group(&[1]).await;
    send_file(&harness, 1, Target::Conversation(group)).await;
    harness.leave(&person(1), group).await.unwrap();
    assert_eq!((harness.stored_files().await, harness.db.count_rows("messaging_attachment").await), (0, 0));
}

#[tokio::test]
async fn old_messages_take_their_files_with_them() {
    let settings = Settings { keep_days: 30, ..Settings::default().without_limits() };
    let harness = messaging_with(1, settings).await;
    send_file(&harness, 1, to(2)).await;
    harness.clock.advance(Duration::from_secs(31 * 24 * 3600));
    harness.run().await.unwrap();
    assert_eq!((harness.stored_files().await, harness.db.count_rows("files_file").await), (0, 0));
}

#[tokio::test]
async fn an_upload_that_is_not_sent_goes_after_a_day_or_with_its_user() {
    let harness = messaging().await;
    let (_, sent) = send_file(&harness, 1, to(2)).await;
    let old = upload(&harness, 1).await;
    harness.clock.advance(Duration::from_secs(12 * 3600));
    let new = upload(&harness, 1).await;
    harness.clock.advance(Duration::from_secs(12 * 3600 + 1));
    harness.run().await.unwrap();
    assert_eq!([fetch(&harness, 1, &old).await, fetch(&harness, 1, &new).await], [404, 200]);
    assert_eq!((fetch(&harness, 2, &sent).await, harness.stored_files().await), (200, 2));
    assert_eq!(code(harness.send(&person(1), to(2), with(&[old.id])).await), "invalid");
    let removal = &Removal::new(&harness);
    let remove = |tx: db::Tx| async move {
        removal.release(&tx, UserId(1), None).await.unwrap();
        assert!(!removal.is_used(&tx, UserId(1)).await.unwrap());
        Ok::<_, sea_orm::DbErr>(())
    };
    harness.db.write(remove).await.unwrap();
    assert_eq!([fetch(&harness, 1, &new).await, fetch(&harness, 2, &sent).await], [404, 200]);
    assert_eq!(harness.stored_files().await, 1);
}

#[tokio::test]
async fn a_user_uploads_a_limited_number_of_files_per_day() {
    let harness = messaging_with(1, Settings { uploads_per_day: 2, ..Settings::default() }).await;
    upload(&harness, 1).await;
    upload(&harness, 1).await;
    let refused = harness.upload(&person(1), file("a", "text/plain", b"x")).await;
    assert_eq!(code(refused), "quota_exceeded");
    let broken = async |user| harness.upload(&person(user), file("a.png", "image/png", b"no picture")).await;
    assert_eq!(code(broken(1).await), "quota_exceeded", "it is not decoded");
    upload(&harness, 2).await;
    assert_eq!(code(broken(2).await), "invalid");
    assert_eq!(code(broken(2).await), "quota_exceeded", "files that are refused count");
}

#[tokio::test]
async fn events_show_paths_without_a_signature() {
    let harness = messaging().await;
    let (conversation, attachment) = send_file(&harness, 1, to(2)).await;
    let path = format!("/messaging/api/attachments/{}/notes.txt", attachment.id);
    for stream in [format!("conversation/{conversation}"), "user/1".to_owned(), "user/2".to_owned()] {
        let event = harness.events(&stream).await.remove(0);
        assert_eq!(event["message"]["attachments"][0]["url"], path.as_str(), "{stream}: {event}");
        assert!(!event.to_string().contains("&s="));
    }
}

#[tokio::test]
async fn messages_that_are_found_have_their_attachments() {
    let harness = messaging().await;
    let id = upload(&harness, 1).await.id;
    let new = NewMessage { content: "the agenda".into(), ..with(&[id]) };
    harness.send(&person(1), to(2), new).await.unwrap();
    let found = harness.search_messages(&person(2), "agenda".into(), None, CursorQuery::newest(5)).await.unwrap();
    assert_eq!(found.results[0].attachments[0].id, id);
}

#[tokio::test]
async fn no_query_about_attachments_reads_a_whole_table() {
    let harness = messaging().await;
    let (_, sent) = send_file(&harness, 1, to(2)).await;
    let id = upload(&harness, 1).await.id;
    let (caller, plans) = (person(1), "messaging_");
    assert_plans(&harness.db, plans, "send", async { harness.send(&caller, to(2), with(&[id])).await.unwrap() }).await;
    assert_plans(&harness.db, plans, "fetch", async { assert_eq!(fetch(&harness, 2, &sent).await, 200) }).await;
    assert_plans(&harness.db, plans, "history", async { harness.history(2, 1).await }).await;
    assert_plans(&harness.db, plans, "expiry", async { harness.run().await.unwrap() }).await;
}

#[tokio::test]
async fn attachments_are_sent_over_sockets() {
    let harness = messaging().await;
    let conversation = harness.say(2, 1, "hello").await.conversation_id;
    let id = upload(&harness, 1).await.id;
    let stream = StreamName::new("conversation", conversation.0);
    let send = async |attachments: Value| {
        let Value::Object(command) = json!({"attachments": attachments}) else { panic!("not an object") };
        harness.handler.handle(&person(1), &stream, "message", command).await
    };
    assert_eq!(send(json!([4711])).await.unwrap_err().code(), "invalid");
    send(json!([id])).await.unwrap();
    let event = harness.events(&stream.to_string()).await.remove(1);
    assert_eq!((&event["message"]["content"], &event["message"]["attachments"][0]["id"]), (&json!(""), &json!(id)));
}

#[tokio::test]
async fn a_file_is_uploaded_sent_and_downloaded_over_http() {
    let harness = messaging().await;
    let other = "https://guild.example/m".parse().unwrap();
    let moved = harness.mounted_at(other, harness.outside.files.clone());
    let auth = signed_in_as(person(1).roles);
    let state = MessagingState::new(&moved, auth, "https://guild.example".parse().unwrap());
    let client = TestClient::new(Router::new().nest("/m", router(state).into()));
    let form = |field: &str| {
        let part = format!("--x\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"a b.txt\"\r\n");
        let body = format!("{part}Content-Type: text/plain\r\n\r\nhello\r\n--x--\r\n");
        Request::post("/m/attachments/")
            .header("authorization", "Bearer 1")
            .header("content-type", "multipart/form-data; boundary=x")
            .body(Body::from(body))
            .unwrap()
    };
    let refused = client.send_raw(form("other")).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["success"]), (400, &json!(false)));
    let uploaded = client.send_raw(form("file")).await;
    assert_eq!(uploaded.status, 201, "{}", uploaded.text);
    let uploaded = uploaded.json();
    assert_eq!((&uploaded["success"], &uploaded["name"]), (&json!(true), &json!("a b.txt")));
    let body = json!({"receiver_id": 2, "attachments": [uploaded["id"]]});
    assert_eq!(client.with("Bearer 1").post("/m/send/", body).await.status, 201);
    let history = client.with("Bearer 2").get("/m/messages/1/").await.json();
    let url = history["messages"][0]["attachments"][0]["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix("https://guild.example").unwrap();
    let signed = client.get(path).await;
    assert_eq!((signed.status.as_u16(), signed.text.as_str()), (200, "hello"));
    assert_eq!(signed.headers["content-disposition"], "attachment; filename*=UTF-8''a%20b.txt");
    let unsigned = path.split_once('?').unwrap().0;
    let by_caller = client.with("Bearer 2").get(unsigned).await;
    assert_eq!((by_caller.status.as_u16(), by_caller.text.as_str()), (200, "hello"));
    assert_eq!(by_caller.headers["cache-control"], "private, no-store");
    assert_eq!(client.with("Bearer 3").get(unsigned).await.status, 404);
    assert_eq!(client.with("Bearer 3").get(path).await.status, 404);
    let anonymous = client.get(unsigned).await;
    assert_eq!((anonymous.status.as_u16(), &anonymous.json()["success"]), (401, &json!(false)));
}
