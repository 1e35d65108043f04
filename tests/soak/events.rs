use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::installation::{Installation, Person, client};

/// How often the server is killed.
const KILLS: u32 = 10;
/// Concurrent writers.
const WORKERS: usize = 6;

/// Creates clients until stopped, and records the ids of those whose creation was acknowledged.
async fn create_clients(
    installation: Arc<Installation>,
    person: Arc<Person>,
    acknowledged: Arc<Mutex<Vec<i64>>>,
    stop: Arc<AtomicBool>,
) {
    let client = Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let url = installation.url(&format!("{}clients/", person.org));
    while !stop.load(Ordering::SeqCst) {
        let request = client.post(&url).header("authorization", &person.token).json(&json!({"name": "Global Corp"}));
        let Ok(response) = request.send().await else { continue };
        if response.status() != 201 {
            continue;
        }
        let Ok(created) = response.json::<Value>().await else { continue };
        acknowledged.lock().await.push(created["id"].as_i64().unwrap());
    }
}

/// All results of a list with cursors.
async fn list(client: &Client, installation: &Installation, person: &Person, path: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = Some(installation.url(&format!("{}{path}", person.org)));
    while let Some(url) = next {
        let response = client.get(url).header("authorization", &person.token).send().await.unwrap();
        let page: Value = response.json().await.unwrap();
        all.extend(page["results"].as_array().unwrap().iter().cloned());
        next = page["next"].as_str().map(str::to_owned);
    }
    all
}

/// How many deliveries of a created client there are, by the id of the client.
async fn deliveries(client: &Client, installation: &Installation, person: &Person, hook: &Value) -> BTreeMap<i64, u32> {
    let mut counts = BTreeMap::new();
    for delivery in list(client, installation, person, &format!("webhooks/{hook}/deliveries/?limit=100")).await {
        *counts.entry(delivery["body"]["data"]["id"].as_i64().unwrap()).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn every_committed_event_is_handled_once_despite_kills() {
    let installation = Arc::new(Installation::new().await);
    let client = client();
    let mut server = installation.serve().await;
    let person = Arc::new(installation.sign_up("anna").await);
    let hook = json!({"url": "https://example.org/hook", "events": ["client.created"]});
    let url = installation.url(&format!("{}webhooks/", person.org));
    let response = client.post(url).header("authorization", &person.token).json(&hook).send().await.unwrap();
    assert_eq!(response.status(), 201);
    let hook = response.json::<Value>().await.unwrap()["id"].clone();

    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for kill in 1..=KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let worker = |_| {
            let (installation, person) = (installation.clone(), person.clone());
            tokio::spawn(create_clients(installation, person, acknowledged.clone(), stop.clone()))
        };
        let workers: Vec<_> = (0..WORKERS).map(worker).collect();
        tokio::time::sleep(Duration::from_millis(150 + u64::from(kill) * 97 % 400)).await;
        server.kill().unwrap();
        server.wait().unwrap();
        stop.store(true, Ordering::SeqCst);
        for worker in workers {
            worker.await.unwrap();
        }
        server = installation.serve().await;
    }

    let stored: Vec<i64> = list(&client, &installation, &person, "clients/?page_size=100")
        .await
        .iter()
        .map(|row| row["id"].as_i64().unwrap())
        .collect();
    for id in acknowledged.lock().await.iter() {
        assert!(stored.contains(id), "client {id} was acknowledged");
    }
    let start = Instant::now();
    let mut counts = deliveries(&client, &installation, &person, &hook).await;
    while counts.len() < stored.len() {
        assert!(start.elapsed() < Duration::from_secs(60), "{} of {} events are handled", counts.len(), stored.len());
        tokio::time::sleep(Duration::from_millis(500)).await;
        counts = deliveries(&client, &installation, &person, &hook).await;
    }
    eprintln!("killed {KILLS} times, {} clients created, {} deliveries", stored.len(), counts.len());
    assert!(stored.len() > 50, "there must be enough events to interrupt");
    for id in &stored {
        assert_eq!(counts.get(id), Some(&1), "client {id}");
    }
    assert_eq!(counts.len(), stored.len(), "no event of a transaction that did not commit");
    server.kill().unwrap();
    server.wait().unwrap();
    installation.assert_healthy(&[]);
}
