//! Encryption of stored events.

use guildhall_kernel::{Auth, Clock, Db, cipher::KeyRing, doctor::Severity};
use guildhall_realtime::{About, Settings, SingleProcess, Streams};
use serde_json::json;

use crate::harness::{Harness, harness, room};

const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "new:HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

/// The streams of the installation with these keys.
fn streams(harness: &Harness, keys: &[&str]) -> Streams {
    let (db, auth) = (Db::clone(&harness.db), Auth::new(harness.auth.clone()));
    let keys = KeyRing::parse(keys, true).unwrap();
    let handlers = vec![harness.rooms.clone() as _];
    Streams::encrypted(db, Clock::system(), Settings::default(), auth, SingleProcess, handlers, keys)
}

async fn append(harness: &Harness, streams: &Streams, text: &str) {
    let event = &json!({ "text": text });
    harness.db.write(|tx| async move { streams.append(&tx, &room(7), event).await }).await.unwrap();
}

async fn bodies(streams: &Streams) -> Vec<String> {
    let page = streams.read(&room(7), 0).await.unwrap();
    page.frames.iter().map(|frame| frame.body().to_owned()).collect()
}

async fn stored(harness: &Harness) -> Vec<String> {
    harness.db.query_texts("SELECT body FROM realtime_event ORDER BY seq").await
}

#[tokio::test]
async fn events_are_stored_encrypted_and_read_as_they_were() {
    let harness = harness().await;
    let streams = streams(&harness, &[OLD]);
    append(&harness, &streams, "zebra").await;
    assert!(!stored(&harness).await[0].contains("zebra"));
    assert_eq!(bodies(&streams).await, [r#"{"text":"zebra"}"#]);
}

#[tokio::test]
async fn an_event_whose_key_is_missing_keeps_its_number() {
    let harness = harness().await;
    append(&harness, &streams(&harness, &[OLD]), "one").await;
    let streams = streams(&harness, &[NEW]);
    append(&harness, &streams, "two").await;
    assert_eq!(bodies(&streams).await, [r#"{"type":"unreadable"}"#, r#"{"text":"two"}"#]);
    let missing = streams.missing_keys().await.unwrap();
    assert_eq!((missing.len(), missing[0].key_id.as_str(), missing[0].rows), (1, "old", 1));
    assert_eq!(streams.examine_keys().await.unwrap().severity, Severity::Error);
}

#[tokio::test]
async fn an_erased_event_needs_no_key() {
    let harness = harness().await;
    let (streams, event) = (&streams(&harness, &[OLD]), &json!({ "text": "zebra" }));
    let about = || About { subject: room(7), no: 1 };
    harness.db.write(|tx| async move { streams.append_about(&tx, &room(7), event, about()).await }).await.unwrap();
    harness.db.write(|tx| async move { streams.erase(&tx, &room(7), 1..=1).await }).await.unwrap();
    assert_eq!(bodies(streams).await, [r#"{"type":"hidden"}"#]);
    assert_eq!(streams.examine_keys().await.unwrap().severity, Severity::Ok);
}

#[tokio::test]
async fn the_keys_of_stored_events_are_changed() {
    let harness = harness().await;
    append(&harness, &harness.streams, "plain").await;
    append(&harness, &streams(&harness, &[OLD]), "old").await;
    let both = streams(&harness, &[NEW, OLD]);
    assert_eq!(both.examine_keys().await.unwrap().severity, Severity::Note);
    assert_eq!(both.reencrypt(|_, _| {}).await.unwrap().changed, 2);
    assert_eq!(both.reencrypt(|_, _| {}).await.unwrap().changed, 0);
    let new = streams(&harness, &[NEW]);
    assert_eq!(bodies(&new).await, [r#"{"text":"plain"}"#, r#"{"text":"old"}"#]);
    assert_eq!(new.examine_keys().await.unwrap().severity, Severity::Ok);
}
