use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use guildhall_kernel::{
    CursorQuery, IfMatch,
    cipher::KeyRing,
    http::{FetchError, FetchedPage, PageFetcher},
    testing::assert_plans,
};
use guildhall_messaging::{Changes, DeleteFor, Message, MessagePatch, Messages, Settings};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::{Harness, person, with_pages};

struct Pages;

#[async_trait]
impl PageFetcher for Pages {
    async fn fetch_page(&self, url: &str) -> Result<FetchedPage, FetchError> {
        match url {
            "https://example.com/knots" | "https://example.com/ropes" => {
                let title = url.rsplit('/').next().unwrap_or_default();
                let html = format!("<title>{title}</title><meta property=\"og:description\" content=\"All of it\">");
                Ok(FetchedPage { url: url.to_owned(), html })
            }
            "https://example.com/later" => Err(FetchError::Transient("busy".into())),
            _ => Err(FetchError::Permanent("private".into())),
        }
    }
}

async fn messaging(is_on: bool) -> Harness {
    let settings = Settings { link_previews: is_on, ..Settings::default().without_limits() };
    with_pages(1, settings, Some(Arc::new(Pages))).await
}

/// With several connections, for concurrent workers.
async fn concurrent(pages: Arc<dyn PageFetcher>) -> Harness {
    with_pages(4, Settings { link_previews: true, ..Settings::default().without_limits() }, Some(pages)).await
}

/// The preview events of a conversation.
async fn frames(harness: &Harness, message: &Message) -> Vec<Value> {
    let all = harness.events(&format!("conversation/{}", message.conversation_id)).await;
    all.into_iter().filter(|event| event["type"] == "message_preview").collect()
}

async fn preview(harness: &Harness, message: &Message) -> Option<String> {
    let message = harness.message(&person(2), message.conversation_id, message.id).await.unwrap();
    message.link_preview.map(|preview| preview.title)
}

async fn edit(harness: &Harness, message: &Message, content: &str) {
    let patch = MessagePatch { content: content.into() };
    harness.edit(&person(1), message.conversation_id, message.id, patch, IfMatch::default()).await.unwrap();
}

#[tokio::test]
async fn the_first_linked_page_gets_a_preview_that_followers_are_sent() {
    let harness = messaging(true).await;
    let message = harness.say(1, 2, "See https://example.com/knots, and https://example.com/ropes").await;
    assert_eq!((message.link_preview.is_none(), harness.fetch_previews().await.unwrap()), (true, 1));
    let expected =
        json!({"url": "https://example.com/knots", "title": "knots", "description": "All of it", "site": ""});
    let shown = harness.history(2, 1).await.messages.remove(0).link_preview;
    assert_eq!(json!(shown), expected);
    assert!(harness.inbox(2).await[0].last_message.as_ref().unwrap().link_preview.is_some());
    let frames = frames(&harness, &message).await;
    let frame = json!({"type": "message_preview", "message_id": message.id, "no": 1, "link_preview": expected});
    assert_eq!(frames, [frame]);
    assert_eq!(harness.fetch_previews().await.unwrap(), 0);
    harness.say(1, 2, "no link").await;
    assert_eq!(harness.db.count_rows("messaging_link_preview").await, 1);
}

#[tokio::test]
async fn private_addresses_have_no_preview_and_failures_are_retried_later() {
    let harness = messaging(true).await;
    let private = harness.say(1, 2, "http://169.254.169.254/").await;
    let busy = harness.say(1, 2, "https://example.com/later").await;
    assert_eq!(harness.fetch_previews().await.unwrap(), 2);
    assert_eq!((preview(&harness, &private).await, preview(&harness, &busy).await), (None, None));
    assert_eq!(harness.fetch_previews().await.unwrap(), 0, "not retried immediately");
    for pause in [60, 600] {
        harness.clock.advance(Duration::from_secs(pause));
        assert_eq!(harness.fetch_previews().await.unwrap(), 1);
    }
    assert_eq!(harness.db.count_rows("messaging_link_preview").await, 0, "given up");
    assert!(frames(&harness, &busy).await.is_empty());
}

#[tokio::test]
async fn an_edited_message_has_the_preview_of_its_new_link() {
    let harness = messaging(true).await;
    let message = harness.say(1, 2, "https://example.com/knots").await;
    harness.fetch_previews().await.unwrap();
    edit(&harness, &message, "https://example.com/knots!").await;
    assert_eq!(preview(&harness, &message).await.as_deref(), Some("knots"));
    edit(&harness, &message, "https://example.com/ropes").await;
    assert_eq!(preview(&harness, &message).await, None);
    assert_eq!(harness.fetch_previews().await.unwrap(), 1);
    assert_eq!(preview(&harness, &message).await.as_deref(), Some("ropes"));
    edit(&harness, &message, "nothing").await;
    let titles = frames(&harness, &message).await;
    let titles: Vec<&Value> = titles.iter().map(|frame| &frame["link_preview"]["title"]).collect();
    assert_eq!(titles, [&json!("knots"), &Value::Null, &json!("ropes"), &Value::Null]);
    edit(&harness, &message, "https://example.com/knots").await;
    harness.delete(&person(1), message.conversation_id, message.id, DeleteFor::Everyone).await.unwrap();
    assert_eq!(harness.fetch_previews().await.unwrap(), 0);
    assert_eq!(harness.db.count_rows("messaging_link_preview").await, 0);
}

/// A site whose pages arrive when they are released.
#[derive(Default)]
struct SlowPages {
    requested: Notify,
    released: Notify,
}

#[async_trait]
impl PageFetcher for SlowPages {
    async fn fetch_page(&self, url: &str) -> Result<FetchedPage, FetchError> {
        self.requested.notify_one();
        self.released.notified().await;
        Pages.fetch_page(url).await
    }
}

#[tokio::test]
async fn a_page_whose_link_was_edited_while_it_was_fetched_is_not_shown() {
    let pages = Arc::new(SlowPages::default());
    let harness = concurrent(pages.clone()).await;
    let message = harness.say(1, 2, "https://example.com/knots").await;
    let edit_meanwhile = async {
        pages.requested.notified().await;
        harness.clock.advance(Duration::from_secs(1));
        edit(&harness, &message, "https://example.com/ropes").await;
        pages.released.notify_one();
        // The same worker goes on with the new link.
        pages.requested.notified().await;
        assert_eq!((preview(&harness, &message).await, frames(&harness, &message).await), (None, vec![]));
        pages.released.notify_one();
    };
    let (fetched, ()) = tokio::join!(harness.fetch_previews(), edit_meanwhile);
    assert_eq!((fetched.unwrap(), preview(&harness, &message).await.as_deref()), (2, Some("ropes")));
}

#[tokio::test]
async fn two_workers_fetch_a_page_once() {
    let harness = concurrent(Arc::new(Pages)).await;
    let message = harness.say(1, 2, "https://example.com/knots").await;
    let (one, other) = tokio::join!(harness.fetch_previews(), harness.fetch_previews());
    assert_eq!(one.unwrap() + other.unwrap(), 1);
    assert_eq!(preview(&harness, &message).await.as_deref(), Some("knots"));
    assert_eq!(frames(&harness, &message).await.len(), 1);
}

#[tokio::test]
async fn previews_are_encrypted_and_get_another_key_like_messages() {
    let keys = |keys: &[&str]| KeyRing::parse(keys, true).unwrap();
    let [old, new] =
        ["old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "new:HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="];
    let harness = messaging(true).await.restart(keys(&[old]));
    let message = harness.say(1, 2, "https://example.com/knots").await;
    harness.fetch_previews().await.unwrap();
    let stored = "SELECT key_id || ' ' || page FROM messaging_link_preview";
    let page = harness.db.query_texts(stored).await.remove(0);
    assert!(page.starts_with("old ") && !page.contains("knots"), "{page}");
    assert_eq!(preview(&harness, &message).await.as_deref(), Some("knots"));
    let harness = harness.restart(keys(&[new, old]));
    harness.reencrypt(|_, _| ()).await.unwrap();
    assert!(harness.db.query_texts(stored).await[0].starts_with("new "));
    let harness = harness.restart(keys(&[new]));
    assert_eq!(preview(&harness, &message).await.as_deref(), Some("knots"));
    let harness = harness.restart(keys(&[old]));
    assert_eq!(preview(&harness, &message).await, None);
}

#[tokio::test]
async fn no_page_is_fetched_if_the_settings_say_so() {
    let harness = messaging(false).await;
    let message = harness.say(1, 2, "https://example.com/knots").await;
    assert_eq!(harness.db.count_rows("messaging_link_preview").await, 0);
    assert_eq!((harness.fetch_previews().await.unwrap(), preview(&harness, &message).await), (0, None));
}

#[tokio::test]
async fn the_previews_that_are_due_are_found_by_an_index() {
    let harness = messaging(true).await;
    harness.say(1, 2, "https://example.com/knots").await;
    let fetch = async { harness.fetch_previews().await.unwrap() };
    assert_plans(&harness.db, "messaging_", "previews", fetch).await;
    let history = async { harness.messages_with(&person(2), person(1).user, CursorQuery::newest(5)).await.unwrap() };
    assert_plans(&harness.db, "messaging_", "history", history).await;
}
