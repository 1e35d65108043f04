//! Messages on their way to sockets, while the server is killed and sockets break.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::installation::{Installation, PASSWORD, client};

const SENDERS: usize = 20;
const RECEIVERS: usize = 5;
const KILLS: u32 = 4;

/// A user, with the value of the authorization header.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) token: String,
}

/// Registers a user, who gets a token.
pub(crate) async fn sign_up(installation: &Installation, name: &str) -> User {
    let client = client();
    let post = async |path: &str, body: Value| {
        let response = client.post(installation.url(path)).json(&body).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json::<Value>().await.unwrap_or_default()
    };
    let credentials = json!({"username": name, "email": format!("{name}@example.org"), "password": PASSWORD});
    post("/api/auth/register/", credentials.clone()).await;
    let id = post("/api/auth/login/", credentials.clone()).await["user"]["id"].as_i64().unwrap();
    let token = format!("Token {}", post("/api/auth/token/", credentials).await["token"].as_str().unwrap());
    User { id, token }
}

/// Sends messages until stopped. One that is not acknowledged is sent again with the same `client_id`.
async fn send_messages(
    installation: Arc<Installation>,
    (sender, receivers): (User, Vec<User>),
    acknowledged: Arc<Mutex<BTreeMap<i64, BTreeSet<i64>>>>,
    stop: Arc<AtomicBool>,
) {
    let client = Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
    for number in 0_u32.. {
        let receiver = &receivers[number as usize % receivers.len()];
        let body = json!({
            "receiver_id": receiver.id,
            "content": format!("{number}"),
            "client_id": format!("{}-{number}", sender.id),
        });
        let id = loop {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let request = client.post(installation.url("/messaging/api/send/")).header("authorization", &sender.token);
            let Ok(response) = request.json(&body).send().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            match response.status().as_u16() {
                200 | 201 => match response.json::<Value>().await {
                    Ok(sent) => break sent["message"]["id"].as_i64().unwrap(),
                    Err(_) => continue,
                },
                429 | 503 => tokio::time::sleep(Duration::from_millis(100)).await,
                status => panic!("{status} {}", response.text().await.unwrap_or_default()),
            }
        };
        acknowledged.lock().await.entry(receiver.id).or_default().insert(id);
    }
}

/// Follows the stream of a user, over sockets that break, and checks that its numbers have no gap. Returns the ids of
/// the messages, once everything that was acknowledged is among them.
async fn receive_messages(
    installation: Arc<Installation>,
    user: User,
    acknowledged: Arc<Mutex<BTreeMap<i64, BTreeSet<i64>>>>,
    is_complete: Arc<AtomicBool>,
) -> Vec<i64> {
    let (mut last, mut ids) = (0, Vec::new());
    let mut lives = 3;
    loop {
        let url = format!("ws://{}/ws/notifications/?after={last}", installation.address());
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", user.token.parse().unwrap());
        let Ok((mut socket, _)) = connect_async(request).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        lives = lives * 7 % 23 + 3;
        for _ in 0..lives * 10 {
            let Ok(next) = tokio::time::timeout(Duration::from_millis(500), socket.next()).await else {
                if is_complete.load(Ordering::SeqCst) {
                    let expected = acknowledged.lock().await.get(&user.id).cloned().unwrap_or_default();
                    if expected.iter().all(|id| ids.contains(id)) {
                        return ids;
                    }
                }
                continue;
            };
            let Some(Ok(message)) = next else { break };
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            assert_ne!(frame["type"], "gap", "{frame}");
            if let Some(seq) = frame["seq"].as_i64() {
                assert_eq!(seq, last + 1, "an event was lost or repeated");
                last = seq;
            }
            if frame["type"] == "direct_message" {
                ids.push(frame["message"]["id"].as_i64().unwrap());
            }
        }
        // The socket breaks here, without being closed.
        drop(socket);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_message_arrives_once_and_in_order() {
    let limits =
        [("GUILDHALL__MESSAGING__SEND_BURST", "1000000"), ("GUILDHALL__MESSAGING__SENDS_PER_SECOND", "1000000")];
    let installation = Arc::new(Installation::new().await.with(&limits));
    let mut server = installation.serve().await;
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    for number in 0..SENDERS {
        senders.push(sign_up(&installation, &format!("sender{number}")).await);
    }
    for number in 0..RECEIVERS {
        receivers.push(sign_up(&installation, &format!("receiver{number}")).await);
    }
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let (stop, is_complete) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let sending: Vec<_> = senders
        .into_iter()
        .map(|sender| {
            let people = (sender, receivers.clone());
            tokio::spawn(send_messages(installation.clone(), people, acknowledged.clone(), stop.clone()))
        })
        .collect();
    let receiving: Vec<_> = receivers
        .iter()
        .map(|receiver| {
            let (acknowledged, is_complete) = (acknowledged.clone(), is_complete.clone());
            tokio::spawn(receive_messages(installation.clone(), receiver.clone(), acknowledged, is_complete))
        })
        .collect();
    for kill in 1..=KILLS {
        tokio::time::sleep(Duration::from_millis(1500 + u64::from(kill) * 311 % 900)).await;
        server.kill().unwrap();
        server.wait().unwrap();
        server = installation.serve().await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.store(true, Ordering::SeqCst);
    for sender in sending {
        sender.await.unwrap();
    }
    is_complete.store(true, Ordering::SeqCst);
    let mut total = 0;
    for (receiver, received) in receivers.iter().zip(receiving) {
        let ids = tokio::time::timeout(Duration::from_secs(60), received).await.unwrap().unwrap();
        let distinct: BTreeSet<i64> = ids.iter().copied().collect();
        assert_eq!(distinct.len(), ids.len(), "a message was repeated");
        let acknowledged = acknowledged.lock().await.get(&receiver.id).cloned().unwrap_or_default();
        assert!(acknowledged.is_subset(&distinct), "an acknowledged message is missing");
        total += acknowledged.len();
    }
    eprintln!("killed {KILLS} times, {total} messages acknowledged and received");
    assert!(total > 200, "there must be enough load to interrupt");
    server.kill().unwrap();
    server.wait().unwrap();
}
