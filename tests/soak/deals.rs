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
/// How many sell at once.
const WORKERS: usize = 8;

/// What the server has promised so far.
#[derive(Default)]
struct Promises {
    /// Numbers of deals that were answered with.
    numbers: Mutex<Vec<String>>,
    /// Payments that were answered with, by their keys.
    payments: Mutex<BTreeSet<(String, i64)>>,
    keys: AtomicU32,
}

/// Where deals are sold, and who sells them.
struct Shop {
    at: Installation,
    token: String,
    org: String,
    client: i64,
}

impl Shop {
    /// None where the server went away in the middle.
    async fn post(&self, client: &Client, path: &str, body: &Value, key: Option<&str>) -> Option<(u16, Value)> {
        let request = client.request(Method::POST, self.at.url(&format!("{}{path}", self.org)));
        let mut request = request.header("authorization", &self.token).json(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, serde_json::from_str(&answer.text().await.ok()?).unwrap_or_default()))
    }

    async fn get(&self, client: &Client, path: &str) -> Value {
        let request = client.get(self.at.url(&format!("{}{path}", self.org))).header("authorization", &self.token);
        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
    }
}

/// One after the other adds a deal and is paid for it, until told to stop.
async fn sell(shop: Arc<Shop>, promises: Arc<Promises>, stop: Arc<AtomicBool>) {
    let client = Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    while !stop.load(Ordering::SeqCst) {
        if sell_one(&client, &shop, &promises).await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn sell_one(client: &Client, shop: &Shop, promises: &Promises) -> Option<()> {
    let new = json!({"client_id": shop.client, "title": "x", "value": "10"});
    let (status, deal) = shop.post(client, "deals/", &new, None).await?;
    if status != 201 {
        assert_eq!(status, 503, "{deal}");
        return None;
    }
    promises.numbers.lock().await.push(deal["number"].as_str()?.to_owned());
    let key = format!("key-{}", promises.keys.fetch_add(1, Ordering::SeqCst));
    let (path, body) = (format!("deals/{}/payments/", deal["id"]), json!({"amount": "7", "method": "cash"}));
    for _ in 0..3 {
        // Asked again with the same key, as whoever did not hear the answer asks: 7 twice would be too much.
        let (status, payment) = shop.post(client, &path, &body, Some(&key)).await?;
        match status {
            201 => drop(promises.payments.lock().await.insert((key.clone(), payment["id"].as_i64()?))),
            status => assert!([409, 503].contains(&status), "{payment}"),
        }
    }
    Some(())
}

/// Reads a table in, again and again.
async fn read_in(shop: Arc<Shop>, org: String, stop: Arc<AtomicBool>) {
    let client = Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let table: String = (0..3000).map(|n| format!("deal {n},client {}\n", n % 50)).collect();
    while !stop.load(Ordering::SeqCst) {
        let file = Part::text(format!("title,client\n{table}")).file_name("table.csv");
        let form = Form::new().text("kind", "deals").part("file", file);
        let request = client.request(Method::POST, shop.at.url(&format!("{org}imports/")));
        let _ = request.header("authorization", &shop.token).multipart(form).send().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sold_and_paid_is_there_after_every_kill() {
    let at = Installation::new().await;
    let mut server = at.serve().await;
    let client = client();
    let credentials = json!({"username": "anna", "email": "anna@example.org", "password": PASSWORD});
    let register = client.post(at.url("/api/auth/register/")).json(&credentials).send().await.unwrap();
    assert_eq!(register.status(), 201);
    let token = client.post(at.url("/api/auth/token/")).json(&credentials).send().await.unwrap();
    let token: Value = token.json().await.unwrap();
    let token = format!("Token {}", token["token"].as_str().unwrap());
    let orgs = "/api/crm/organizations/";
    let shop = Shop { at, token, org: orgs.to_owned(), client: 0 };
    let (_, org) = shop.post(&client, "", &json!({"name": "Acme"}), None).await.unwrap();
    let (_, other) = shop.post(&client, "", &json!({"name": "Tables"}), None).await.unwrap();
    let shop = Shop { org: format!("{orgs}{}/", org["id"]), ..shop };
    let (_, buyer) = shop.post(&client, "clients/", &json!({"name": "Global Corp"}), None).await.unwrap();
    let shop = Arc::new(Shop { client: buyer["id"].as_i64().unwrap(), ..Arc::into_inner(Arc::new(shop)).unwrap() });
    let promises = Arc::new(Promises::default());

    for kill in 1..=KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let seller = |_| tokio::spawn(sell(shop.clone(), promises.clone(), stop.clone()));
        let mut workers: Vec<JoinHandle<()>> = (0..WORKERS).map(seller).collect();
        workers.push(tokio::spawn(read_in(shop.clone(), format!("{orgs}{}/", other["id"]), stop.clone())));
        tokio::time::sleep(Duration::from_millis(500 + u64::from(kill) * 137 % 900)).await;
        server.kill().unwrap();
        server.wait().unwrap();
        stop.store(true, Ordering::SeqCst);
        for worker in workers {
            worker.await.unwrap();
        }
        // Numbers, sums and what was paid are what the rows say.
        shop.at.assert_sound(&[]);
        server = shop.at.serve().await;
        let (sold, paid) = (promises.numbers.lock().await.len(), promises.payments.lock().await.len());
        eprintln!("killed {kill} times, {sold} deals, {paid} payments");
    }
    let numbers = promises.numbers.lock().await.clone();
    assert!(numbers.len() > 100, "there was something to interrupt");
    let mut found = BTreeSet::new();
    let mut paid = BTreeSet::new();
    for (list, of) in [("deals/", "number"), ("payments/", "id")] {
        let mut path = format!("{list}?page_size=100&ordering=number");
        loop {
            let page = shop.get(&client, &path).await;
            for row in page["results"].as_array().unwrap() {
                match of {
                    "number" => drop(found.insert(row["number"].as_str().unwrap().to_owned())),
                    _ => drop(paid.insert(row["id"].as_i64().unwrap())),
                }
            }
            let Some(next) = page["next"].as_str() else { break };
            path = next.split_once(&format!("/{list}")).map(|(_, rest)| format!("{list}{rest}")).unwrap();
        }
    }
    assert!(numbers.iter().all(|number| found.contains(number)), "a deal that was answered with is there");
    let expected: BTreeSet<String> = (1..=found.len()).map(|number| format!("DLID{number:04}")).collect();
    assert_eq!(found, expected, "no number was left out");
    let promised = promises.payments.lock().await.clone();
    let keys: BTreeSet<&String> = promised.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), promised.len(), "one payment for each key");
    assert!(promised.iter().all(|(_, id)| paid.contains(id)), "a payment that was answered with is there");
    server.kill().unwrap();
    server.wait().unwrap();
}
