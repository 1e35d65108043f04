//! People who send messages over two gateways, and their receivers, who have a socket at each of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{sync::Mutex, task::JoinHandle, time::timeout};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::impatient;
use crate::{
    installation::Installation,
    sockets::{User, sign_up},
};

/// How long the last message may take to arrive.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(120);

type Gateways = [Arc<Installation>; 2];

/// The messages that were acknowledged.
#[derive(Default)]
struct Acknowledged {
    count: AtomicUsize,
    /// Their ids by receiver.
    ids: Mutex<BTreeMap<i64, BTreeSet<i64>>>,
    /// Responses that were neither a success nor `503 unavailable`.
    failures: AtomicUsize,
}

/// Messages that are being sent.
pub(super) struct Traffic {
    acknowledged: Arc<Acknowledged>,
    senders: Vec<JoinHandle<()>>,
    /// By receiver, one for each gateway: the ids of the messages, in the order of their arrival.
    followers: Vec<(User, [JoinHandle<()>; 2], [Arc<Mutex<Vec<i64>>>; 2])>,
    started: Instant,
}

impl Traffic {
    pub(super) async fn start(gateways: &Gateways, senders: usize, receivers: usize, messages: usize) -> Self {
        let mut people = Vec::new();
        for number in 0..receivers {
            people.push(sign_up(&gateways[number % 2], &format!("receiver{number}")).await);
        }
        let followers = people.iter().map(|user| {
            let ids = [Arc::<Mutex<Vec<i64>>>::default(), Arc::default()];
            let follow = |index: usize| tokio::spawn(follow(gateways[index].clone(), user.clone(), ids[index].clone()));
            (user.clone(), [follow(0), follow(1)], ids.clone())
        });
        let followers = followers.collect();
        let acknowledged = Arc::<Acknowledged>::default();
        let mut sending = Vec::new();
        for number in 0..senders {
            let sender = sign_up(&gateways[number % 2], &format!("sender{number}")).await;
            let people = (sender, people.clone());
            sending.push(tokio::spawn(send(gateways.clone(), people, messages / senders, acknowledged.clone())));
        }
        Self { acknowledged, senders: sending, followers, started: Instant::now() }
    }

    /// Waits until this many messages were acknowledged.
    pub(super) async fn wait_for(&self, count: usize) {
        while self.acknowledged.count.load(Ordering::SeqCst) < count {
            assert!(self.started.elapsed() < Duration::from_secs(1200), "the messages are not sent");
            let broken = self.followers.iter().flat_map(|(_, tasks, _)| tasks).any(JoinHandle::is_finished);
            assert!(!broken, "a follower has failed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asserts that every receiver has got each of their messages once over both gateways, in the same order.
    pub(super) async fn assert_complete(self) {
        for sender in self.senders {
            sender.await.unwrap();
        }
        let (count, sent) = (self.acknowledged.count.load(Ordering::SeqCst), self.started.elapsed());
        let acknowledged = self.acknowledged.ids.lock().await;
        let waiting = Instant::now();
        for (user, tasks, ids) in &self.followers {
            let expected = &acknowledged[&user.id];
            loop {
                let (one, other) = (ids[0].lock().await.clone(), ids[1].lock().await.clone());
                if one.len() >= expected.len() && one == other {
                    let distinct: BTreeSet<i64> = one.iter().copied().collect();
                    assert_eq!(distinct.len(), one.len(), "a message was repeated");
                    assert_eq!(&distinct, expected, "a message is missing, or one was sent twice");
                    break;
                }
                assert!(tasks.iter().all(|task| !task.is_finished()), "a follower has failed");
                let lengths = (one.len(), other.len(), expected.len());
                assert!(waiting.elapsed() < ARRIVAL_TIMEOUT, "messages do not arrive: {lengths:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        for task in self.followers.iter().flat_map(|(_, tasks, _)| tasks) {
            task.abort();
        }
        let failures = self.acknowledged.failures.load(Ordering::SeqCst);
        eprintln!(
            "{count} messages sent over two gateways in {sent:?}, {failures} unexpected errors; complete after {:?}",
            waiting.elapsed()
        );
        assert_eq!(failures, 0, "a failure of the database or a gateway is 503 or a broken connection");
    }
}

/// Sends messages over both gateways in turn. One that is not acknowledged is sent again over the other gateway with the
/// same `client_id`.
async fn send(
    gateways: Gateways,
    (sender, receivers): (User, Vec<User>),
    messages: usize,
    acknowledged: Arc<Acknowledged>,
) {
    let client = impatient();
    for number in 0..messages {
        let receiver = &receivers[number % receivers.len()];
        let client_id = format!("{}-{number}", sender.id);
        let body = json!({"receiver_id": receiver.id, "content": format!("{number}"), "client_id": client_id});
        let mut gateway = number;
        let id = loop {
            gateway += 1;
            let url = gateways[gateway % 2].url("/messaging/api/send/");
            let request = client.post(url).header("authorization", &sender.token).json(&body);
            let Ok(response) = request.send().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            match response.status().as_u16() {
                200 | 201 => match response.json::<Value>().await {
                    Ok(sent) => break sent["message"]["id"].as_i64().unwrap(),
                    Err(_) => continue,
                },
                503 => {}
                status => {
                    acknowledged.failures.fetch_add(1, Ordering::SeqCst);
                    eprintln!("{status} {}", response.text().await.unwrap_or_default());
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        acknowledged.ids.lock().await.entry(receiver.id).or_default().insert(id);
        acknowledged.count.fetch_add(1, Ordering::SeqCst);
    }
}

/// Follows the stream of a user over one gateway, and checks that its numbers have no gap.
async fn follow(gateway: Arc<Installation>, user: User, ids: Arc<Mutex<Vec<i64>>>) {
    let mut last = 0;
    loop {
        let url = format!("ws://{}/ws/notifications/?after={last}", gateway.address());
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", user.token.parse().unwrap());
        let Ok(Ok((mut socket, _))) = timeout(Duration::from_secs(5), connect_async(request)).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            assert_ne!(frame["type"], "gap", "{frame}");
            if let Some(seq) = frame["seq"].as_i64() {
                assert_eq!(seq, last + 1, "an event was lost or repeated");
                last = seq;
            }
            if frame["type"] == "direct_message" {
                ids.lock().await.push(frame["message"]["id"].as_i64().unwrap());
            }
        }
    }
}
