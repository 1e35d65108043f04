use std::sync::Arc;

use async_trait::async_trait;
use guildhall_kernel::{self as kernel, Clock, Kind, http::FetchError};
use guildhall_notifications::{
    NewPushSubscription, PushEndpoint, PushKeys, PushSubscriptions,
    push::{PushClient, WebPush},
};

use crate::harness::{Harness, database, notifications, on_database, person};

/// The example of RFC 8291, appendix A.
const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

struct NoClient;

#[async_trait]
impl PushClient for NoClient {
    async fn post(&self, _: &str, _: &[(&'static str, String)], _: Vec<u8>) -> Result<u16, FetchError> {
        Err(FetchError::Transient("there is no network".to_owned()))
    }

    fn refuses(&self, url: &str) -> Option<String> {
        (!url.starts_with("https://")).then(|| "it is not https".to_owned())
    }
}

async fn with_web_push() -> Harness {
    let db = database().await;
    let sender = WebPush::open(&db, Clock::system(), Arc::new(NoClient), "mailto:me@example.org".to_owned()).await;
    on_database(db, Some(Arc::new(sender.unwrap()))).await
}

fn browser(endpoint: &str) -> NewPushSubscription {
    let keys = PushKeys { p256dh: P256DH.to_owned(), auth: AUTH.to_owned() };
    NewPushSubscription { endpoint: format!("https://push.example/{endpoint}"), keys }
}

#[tokio::test]
async fn a_browser_receives_the_pushes_of_one_user() {
    let harness = with_web_push().await;
    let first = harness.service.add_push_subscription(&person(1), browser("a")).await.unwrap();
    let again = harness.service.add_push_subscription(&person(1), browser("a")).await.unwrap();
    assert_eq!(first, again);
    let taken_over = harness.service.add_push_subscription(&person(2), browser("a")).await.unwrap();
    assert_eq!(taken_over.id, first.id);
    assert_eq!(harness.db.query_i64("SELECT user_id FROM notifications_subscription").await, 2);
}

#[tokio::test]
async fn a_subscription_is_removed_only_by_its_user() {
    let harness = with_web_push().await;
    harness.service.add_push_subscription(&person(1), browser("a")).await.unwrap();
    let endpoint = || PushEndpoint { endpoint: "https://push.example/a".to_owned() };
    let refused = harness.service.remove_push_subscription(&person(2), endpoint()).await.unwrap_err();
    assert_eq!(kernel::Error::from(refused).kind(), Kind::NotFound);
    harness.service.remove_push_subscription(&person(1), endpoint()).await.unwrap();
    assert_eq!(harness.db.count_rows("notifications_subscription").await, 0);
}

#[tokio::test]
async fn another_browser_replaces_the_oldest_of_too_many() {
    let harness = with_web_push().await;
    for number in 0..25 {
        harness.service.add_push_subscription(&person(1), browser(&number.to_string())).await.unwrap();
    }
    let endpoints = harness.db.query_texts("SELECT endpoint FROM notifications_subscription ORDER BY id").await;
    assert_eq!((endpoints.len(), endpoints[0].as_str()), (20, "https://push.example/5"));
}

#[tokio::test]
async fn invalid_subscriptions_are_refused() {
    let harness = with_web_push().await;
    let with_keys = |p256dh: &str, auth: &str| {
        let keys = PushKeys { p256dh: p256dh.to_owned(), auth: auth.to_owned() };
        NewPushSubscription { keys, ..browser("a") }
    };
    let not_on_the_curve = format!("{}A", &P256DH[..P256DH.len() - 1]);
    for (new, field) in [
        (NewPushSubscription { endpoint: "http://push.example/".to_owned(), ..browser("a") }, "endpoint"),
        (NewPushSubscription { endpoint: format!("https://{}/", "x".repeat(1000)), ..browser("a") }, "endpoint"),
        (with_keys("!", AUTH), "keys.p256dh"),
        (with_keys(&not_on_the_curve, AUTH), "keys.p256dh"),
        (with_keys(P256DH, "AAAA"), "keys.auth"),
        (with_keys(P256DH, "*"), "keys.auth"),
    ] {
        let error = kernel::Error::from(harness.service.add_push_subscription(&person(1), new).await.unwrap_err());
        assert!(error.fields().contains_key(field), "{field}: {error:?}");
    }
    let padded = harness.service.add_push_subscription(&person(1), with_keys(P256DH, &format!("{AUTH}=="))).await;
    padded.unwrap();
}

#[tokio::test]
async fn the_public_key_stays_the_same() {
    let harness = with_web_push().await;
    let key = harness.service.push_key().unwrap();
    assert_eq!(key.public_key.len(), 87);
    let again = WebPush::open(&harness.db, Clock::system(), Arc::new(NoClient), String::new()).await.unwrap();
    assert_eq!(guildhall_notifications::push::PushSender::public_key(&again), key.public_key);
}

#[tokio::test]
async fn without_a_sender_there_are_no_pushes() {
    let harness = notifications().await;
    let key = kernel::Error::from(harness.service.push_key().unwrap_err());
    assert_eq!(key.code(), "push_disabled");
    let added = harness.service.add_push_subscription(&person(1), browser("a")).await.unwrap_err();
    assert_eq!(kernel::Error::from(added).code(), "push_disabled");
}
