use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use reqwest::{
    Client, Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use tokio::{sync::Mutex, task::JoinHandle};

use crate::installation::{Installation, PASSWORD, client};

/// How often the server is killed.
const KILLS: u32 = 8;
/// Concurrent sellers.
const WORKERS: usize = 8;

/// The successful responses so far.
#[derive(Default)]
struct Acknowledged {
    /// Numbers of created deals.
    numbers: Mutex<Vec<String>>,
    /// Recorded payments with their idempotency keys.
    payments: Mutex<BTreeSet<(String, i64)>>,
    keys: AtomicU32,
}

/// An organization and a user who creates deals in it.
struct Seller {
    installation: Installation,
    token: String,
    org: String,
    client: i64,
}

impl Seller {
    /// Returns `None` if the connection breaks.
    async fn post(&self, client: &Client, path: &str, body: &Value, key: Option<&str>) -> Option<(u16, Value)> {
        let request = client.request(Method::POST, self.installation.url(&format!("{}{path}", self.org)));
        let mut request = request.header("authorization", &self.token).json(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, serde_json::from_str(&response.text().await.ok()?).unwrap_or_default()))
    }

    async fn get(&self, client: &Client, path: &str) -> Value {
        let request =
            client.get(self.installation.url(&format!("{}{path}", self.org))).header("authorization", &self.token);
        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
    }
}

/// Creates deals with payments until stopped.
async fn sell(seller: Arc<Seller>, acknowledged: Arc<Acknowledged>, stop: Arc<AtomicBool>) {
    let client = Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    while !stop.load(Ordering::SeqCst) {
        if sell_one(&client, &seller, &acknowledged).await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn sell_one(client: &Client, seller: &Seller, acknowledged: &Acknowledged) -> Option<()> {
    let new = json!({"client_id": seller.client, "title": "x", "value": "10"});
    let (status, deal) = seller.post(client, "deals/", &new, None).await?;
    if status != 201 {
        assert_eq!(status, 503, "{deal}");
        return None;
    }
    acknowledged.numbers.lock().await.push(deal["number"].as_str()?.to_owned());
    let key = format!("key-{}", acknowledged.keys.fetch_add(1, Ordering::SeqCst));
    let (path, body) = (format!("deals/{}/payments/", deal["id"]), json!({"amount": "7", "method": "cash"}));
    for _ in 0..3 {
        // Retried with the same key, like a client that has lost the response. Two payments of 7 would exceed the
        // value.
        let (status, payment) = seller.post(client, &path, &body, Some(&key)).await?;
        match status {
            201 => drop(acknowledged.payments.lock().await.insert((key.clone(), payment["id"].as_i64()?))),
            status => assert!([409, 503].contains(&status), "{payment}"),
        }
    }
    Some(())
}

/// Imports a file repeatedly until stopped.
async fn import(seller: Arc<Seller>, org: String, stop: Arc<AtomicBool>) {
    let client = Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let table: String = (0..3000).map(|n| format!("deal {n},client {}\n", n % 50)).collect();
    while !stop.load(Ordering::SeqCst) {
        let file = Part::text(format!("title,client\n{table}")).file_name("table.csv");
        let form = Form::new().text("kind", "deals").part("file", file);
        let request = client.request(Method::POST, seller.installation.url(&format!("{org}imports/")));
        let _ = request.header("authorization", &seller.token).multipart(form).send().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_deals_and_payments_survive_every_kill() {
    let installation = Installation::new().await;
    let mut server = installation.serve().await;
    let client = client();
    let credentials = json!({"username": "anna", "email": "anna@example.org", "password": PASSWORD});
    let register = client.post(installation.url("/api/auth/register/")).json(&credentials).send().await.unwrap();
    assert_eq!(register.status(), 201);
    let token = client.post(installation.url("/api/auth/token/")).json(&credentials).send().await.unwrap();
    let token: Value = token.json().await.unwrap();
    let token = format!("Token {}", token["token"].as_str().unwrap());
    let orgs = "/api/crm/organizations/";
    let seller = Seller { installation, token, org: orgs.to_owned(), client: 0 };
    let (_, org) = seller.post(&client, "", &json!({"name": "Acme"}), None).await.unwrap();
    let (_, other) = seller.post(&client, "", &json!({"name": "Tables"}), None).await.unwrap();
    let seller = Seller { org: format!("{orgs}{}/", org["id"]), ..seller };
    let (_, buyer) = seller.post(&client, "clients/", &json!({"name": "Global Corp"}), None).await.unwrap();
    let seller =
        Arc::new(Seller { client: buyer["id"].as_i64().unwrap(), ..Arc::into_inner(Arc::new(seller)).unwrap() });
    let acknowledged = Arc::new(Acknowledged::default());

    for kill in 1..=KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let spawn_seller = |_| tokio::spawn(sell(seller.clone(), acknowledged.clone(), stop.clone()));
        let mut workers: Vec<JoinHandle<()>> = (0..WORKERS).map(spawn_seller).collect();
        workers.push(tokio::spawn(import(seller.clone(), format!("{orgs}{}/", other["id"]), stop.clone())));
        tokio::time::sleep(Duration::from_millis(500 + u64::from(kill) * 137 % 900)).await;
        server.kill().unwrap();
        server.wait().unwrap();
        stop.store(true, Ordering::SeqCst);
        for worker in workers {
            worker.await.unwrap();
        }
        // The counters, sums and balances match the rows.
        seller.installation.assert_healthy(&[]);
        server = seller.installation.serve().await;
        let (deals, payments) = (acknowledged.numbers.lock().await.len(), acknowledged.payments.lock().await.len());
        eprintln!("killed {kill} times, {deals} deals, {payments} payments");
    }
    let numbers = acknowledged.numbers.lock().await.clone();
    assert!(numbers.len() > 100, "there must be enough load to interrupt");
    let mut stored = BTreeSet::new();
    let mut paid = BTreeSet::new();
    for (list, field) in [("deals/", "number"), ("payments/", "id")] {
        let mut path = format!("{list}?page_size=100&ordering=number");
        loop {
            let page = seller.get(&client, &path).await;
            for row in page["results"].as_array().unwrap() {
                match field {
                    "number" => drop(stored.insert(row["number"].as_str().unwrap().to_owned())),
                    _ => drop(paid.insert(row["id"].as_i64().unwrap())),
                }
            }
            let Some(next) = page["next"].as_str() else { break };
            path = next.split_once(&format!("/{list}")).map(|(_, rest)| format!("{list}{rest}")).unwrap();
        }
    }
    assert!(numbers.iter().all(|number| stored.contains(number)), "every acknowledged deal is stored");
    let expected: BTreeSet<String> = (1..=stored.len()).map(|number| format!("DLID{number:04}")).collect();
    assert_eq!(stored, expected, "the numbers have no gaps");
    let payments = acknowledged.payments.lock().await.clone();
    let keys: BTreeSet<&String> = payments.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), payments.len(), "one payment per key");
    assert!(payments.iter().all(|(_, id)| paid.contains(id)), "every acknowledged payment is stored");
    server.kill().unwrap();
    server.wait().unwrap();
}
