//! Web pushes to a push service, which decrypts them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use guildhall_kernel::{Clock, IfMatch, http::FetchError};
use guildhall_notifications::{
    NewPushSubscription, NotificationKind, Notifications, Preferences, PushKeys, PushSubscriptions, ReadAll,
    push::{PushClient, WebPush},
};
use serde_json::{Value, json};
use web_push_native::p256::{
    SecretKey,
    ecdsa::{Signature, VerifyingKey, signature::Verifier},
};

use crate::harness::{Harness, comment, database, happened, mention, on_database, person};

const AUTH: [u8; 16] = [7; 16];

/// A request to the push service.
struct Received {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

#[derive(Clone, Default)]
struct PushService {
    received: Arc<Mutex<Vec<Received>>>,
    status: Arc<Mutex<u16>>,
}

async fn receive(
    State(service): State<PushService>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    service.received.lock().unwrap().push(Received { path, headers, body: body.to_vec() });
    StatusCode::from_u16(*service.status.lock().unwrap()).unwrap()
}

/// An HTTP client that reaches the local host.
struct Client(reqwest::Client);

impl Client {
    fn new() -> Self {
        // It needs a TLS provider even for plain HTTP, if another crate of the build has chosen that.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self(reqwest::Client::builder().no_proxy().build().unwrap())
    }
}

#[async_trait]
impl PushClient for Client {
    async fn post(&self, url: &str, headers: &[(&'static str, String)], body: Vec<u8>) -> Result<u16, FetchError> {
        let request = headers.iter().fold(self.0.post(url), |request, (name, value)| request.header(*name, value));
        let response = request.body(body).send().await.map_err(|error| FetchError::Transient(error.to_string()))?;
        Ok(response.status().as_u16())
    }

    fn refuses(&self, _: &str) -> Option<String> {
        None
    }
}

struct World {
    harness: Harness,
    service: PushService,
    origin: String,
    /// The private key of the browsers.
    key: SecretKey,
}

impl World {
    /// A push service that responds with a status.
    async fn responding(status: u16) -> Self {
        let service = PushService::default();
        *service.status.lock().unwrap() = status;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/{browser}", post(receive)).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let db = database().await;
        let client = Arc::new(Client::new());
        let sender = WebPush::open(&db, Clock::system(), client, "mailto:me@example.org".to_owned()).await.unwrap();
        let harness = on_database(db, Some(Arc::new(sender))).await;
        Self { harness, service, origin, key: SecretKey::from_slice(&[9; 32]).unwrap() }
    }

    async fn subscribe(&self, user: i64, browser: &str) {
        let public = self.key.public_key().to_sec1_bytes();
        let keys = PushKeys { p256dh: URL_SAFE_NO_PAD.encode(public), auth: URL_SAFE_NO_PAD.encode(AUTH) };
        let new = NewPushSubscription { endpoint: format!("{}/{browser}", self.origin), keys };
        self.harness.service.add_push_subscription(&person(user), new).await.unwrap();
    }

    async fn deliver(&self) {
        self.harness.outbox.deliver(&self.harness.service.pushes()).await.unwrap();
    }

    /// The messages that the push service has got, decrypted.
    fn messages(&self) -> Vec<Value> {
        let decrypt = |received: &Received| {
            let text = web_push_native::decrypt(received.body.clone(), &self.key, &AUTH.into()).unwrap();
            serde_json::from_slice(&text).unwrap()
        };
        self.service.received.lock().unwrap().iter().map(decrypt).collect()
    }

    fn bodies(&self) -> Vec<String> {
        self.messages().iter().map(|message| message["body"].as_str().unwrap().to_owned()).collect()
    }

    async fn subscriptions(&self) -> i64 {
        self.harness.db.count_rows("notifications_subscription").await
    }
}

#[tokio::test]
async fn each_browser_of_the_recipient_gets_an_encrypted_push() {
    let world = World::responding(201).await;
    for (user, browser) in [(1, "a"), (1, "b"), (2, "c")] {
        world.subscribe(user, browser).await;
    }
    world.harness.comment(3, 7).await;
    world.deliver().await;
    let id = world.harness.list(1).await[0].id;
    let message = json!({
        "title": "Guild",
        "body": "person-3 commented on your post “Hello”",
        "kind": "comment",
        "notification": id,
        "url": "https://example.org/app/posts/7/",
    });
    assert_eq!(world.messages(), [message.clone(), message]);
    let received = world.service.received.lock().unwrap();
    let mut browsers: Vec<_> = received.iter().map(|received| received.path.as_str()).collect();
    browsers.sort_unstable();
    assert_eq!(browsers, ["a", "b"]);
    let headers = &received[0].headers;
    assert_eq!(headers["content-encoding"], "aes128gcm");
    assert_eq!(headers["ttl"], "86400");
    assert_eq!(headers["topic"], format!("notification-{id}"));
}

#[tokio::test]
async fn requests_are_signed_with_the_key_that_browsers_subscribe_for() {
    let world = World::responding(201).await;
    world.subscribe(1, "a").await;
    world.harness.comment(3, 7).await;
    world.deliver().await;
    let received = world.service.received.lock().unwrap();
    let authorization = received[0].headers["authorization"].to_str().unwrap();
    let (token, key) = authorization.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
    assert_eq!(key, world.harness.service.push_key().unwrap().public_key);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let verifying = VerifyingKey::from_sec1_bytes(&URL_SAFE_NO_PAD.decode(key).unwrap()).unwrap();
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    verifying.verify(signed.as_bytes(), &signature).unwrap();
    let part = |text: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap() };
    let (header, claims) = signed.split_once('.').unwrap();
    assert_eq!(part(header), json!({"typ": "JWT", "alg": "ES256"}));
    let claims = part(claims);
    assert_eq!((&claims["aud"], &claims["sub"]), (&json!(world.origin), &json!("mailto:me@example.org")));
    let lifetime = claims["exp"].as_i64().unwrap() - guildhall_kernel::Timestamp::now().unix_seconds();
    assert!((0..=24 * 3600).contains(&lifetime), "{lifetime}");
}

#[tokio::test]
async fn a_browser_that_has_unsubscribed_is_deleted() {
    for status in [404, 410] {
        let world = World::responding(status).await;
        world.subscribe(1, "a").await;
        world.harness.comment(3, 7).await;
        world.deliver().await;
        assert_eq!(world.subscriptions().await, 0, "{status}");
    }
}

#[tokio::test]
async fn a_push_is_tried_again_while_the_push_service_is_down() {
    let world = World::responding(503).await;
    world.subscribe(1, "a").await;
    world.harness.comment(3, 7).await;
    world.deliver().await;
    *world.service.status.lock().unwrap() = 201;
    world.harness.clock.advance(Duration::from_secs(600));
    world.deliver().await;
    assert_eq!((world.messages().len(), world.subscriptions().await), (2, 1));
}

#[tokio::test]
async fn a_refused_push_is_given_up() {
    let world = World::responding(403).await;
    world.subscribe(1, "a").await;
    world.harness.comment(3, 7).await;
    world.deliver().await;
    world.harness.clock.advance(Duration::from_secs(600));
    world.deliver().await;
    assert_eq!(world.messages().len(), 1);
    let failed = world.harness.db.query_i64("SELECT COUNT(*) FROM notifications_subscription WHERE failed_at > 0");
    assert_eq!(failed.await, 1);
}

#[tokio::test]
async fn what_was_read_or_hidden_before_the_delivery_is_not_pushed() {
    let world = World::responding(201).await;
    world.subscribe(1, "a").await;
    world.harness.comment(3, 7).await;
    world.harness.service.read_all_notifications(&person(1), ReadAll::default()).await.unwrap();
    world.harness.comment(3, 8).await;
    world.harness.posts.hide(1, 8);
    world.deliver().await;
    assert_eq!(world.bodies(), [] as [String; 0]);
}

#[tokio::test]
async fn a_browser_where_another_user_has_signed_in_gets_no_pushes_of_the_former() {
    let world = World::responding(201).await;
    world.subscribe(1, "a").await;
    world.harness.comment(3, 7).await;
    world.subscribe(2, "a").await;
    world.deliver().await;
    assert_eq!(world.bodies(), [] as [String; 0]);
}

#[tokio::test]
async fn a_second_comment_is_pushed_again_and_a_second_reaction_is_not() {
    let world = World::responding(201).await;
    world.subscribe(1, "a").await;
    for actor in [2, 3] {
        world.harness.comment(actor, 7).await;
        world.harness.happens(&happened(NotificationKind::Reaction, 1, Some(actor), 7)).await;
    }
    world.deliver().await;
    let mut bodies = world.bodies();
    bodies.sort_unstable();
    let expected = [
        "person-2 commented on your post “Hello”",
        "person-2 reacted to your post “Hello”",
        "person-3 and 1 other commented on your post “Hello”",
    ];
    assert_eq!(bodies, expected);
}

#[tokio::test]
async fn pushes_wait_for_the_end_of_the_quiet_hours_and_are_one() {
    let world = World::responding(201).await;
    world.subscribe(1, "a").await;
    // The next hour is quiet in any case.
    let now = guildhall_kernel::Timestamp::now().unix_seconds() / 60;
    let time = |minutes: i64| format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
    let patch = json!({"quiet_hours": {"from": time(now - 5), "until": time(now + 60)}});
    let patch = serde_json::from_value(patch).unwrap();
    world.harness.service.change_notification_preferences(&person(1), patch, IfMatch::default()).await.unwrap();
    world.harness.happens(&comment(2, 7)).await;
    world.harness.happens(&mention(2, 8)).await;
    world.deliver().await;
    assert_eq!(world.bodies(), [] as [String; 0]);
    assert_eq!(world.harness.unread(1).await, 2);
    world.harness.clock.advance(Duration::from_secs(2 * 3600));
    world.harness.service.due_messages().send().await.unwrap();
    world.deliver().await;
    assert_eq!(world.bodies(), ["You have 2 new notifications"]);
}

#[tokio::test]
async fn who_turns_pushes_off_gets_none() {
    let world = World::responding(201).await;
    world.subscribe(1, "a").await;
    let patch = serde_json::from_value(json!({"kinds": {"comment": {"push": false}}})).unwrap();
    world.harness.service.change_notification_preferences(&person(1), patch, IfMatch::default()).await.unwrap();
    world.harness.comment(2, 7).await;
    world.harness.happens(&mention(2, 8)).await;
    world.deliver().await;
    assert_eq!(world.bodies(), ["person-2 mentioned you in a post"]);
}
