use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::{sync::Mutex, task::JoinHandle};

use crate::installation::{Installation, PASSWORD, client};

/// How often the server is killed.
const KILLS: u32 = 12;
/// Concurrent users.
const WORKERS: usize = 8;

/// The successful responses so far.
#[derive(Default)]
struct Acknowledged {
    /// User tokens that were issued and not revoked.
    tokens: Mutex<Vec<String>>,
    /// User tokens of deleted users.
    revoked: Mutex<Vec<String>>,
    requests: AtomicU32,
}

/// Registers users who sign in, refresh, get a token, create a group and partly delete their account, until stopped.
async fn run_users(
    installation: Arc<Installation>,
    acknowledged: Arc<Acknowledged>,
    worker: usize,
    stop: Arc<AtomicBool>,
) {
    let client = Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let mut person = 0;
    while !stop.load(Ordering::SeqCst) {
        person += 1;
        let nonce = acknowledged.requests.load(Ordering::SeqCst);
        let name = format!("w{worker}-{person}-{nonce}");
        if run_user(&client, &installation, &acknowledged, &name).await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Returns `None` if the connection breaks.
async fn run_user(client: &Client, installation: &Installation, acknowledged: &Acknowledged, name: &str) -> Option<()> {
    let call = async |method: Method, path: &str, who: &str, body: Value| {
        let request = client.request(method, installation.url(path)).header("authorization", who).json(&body);
        let response = request.send().await.ok()?;
        let status = response.status();
        assert!(!status.is_server_error() || status == StatusCode::SERVICE_UNAVAILABLE, "{path}: {status}");
        let text = response.text().await.ok()?;
        acknowledged.requests.fetch_add(1, Ordering::SeqCst);
        Some((status, serde_json::from_str::<Value>(&text).unwrap_or_default()))
    };
    let credentials = json!({"username": name, "email": format!("{name}@example.org"), "password": PASSWORD});
    let (status, _) = call(Method::POST, "/api/auth/register/", "", credentials.clone()).await?;
    assert_eq!(status, 201);
    let (status, signed_in) = call(Method::POST, "/api/auth/login/", "", credentials.clone()).await?;
    assert_eq!(status, 200, "an acknowledged registration is stored: {signed_in}");
    let refresh = json!({"refresh": signed_in["refresh"]});
    let (status, pair) = call(Method::POST, "/api/auth/refresh/", "", refresh).await?;
    assert_eq!(status, 200, "{pair}");
    let (status, token) = call(Method::POST, "/api/auth/token/", "", credentials).await?;
    assert_eq!(status, 200);
    let token = format!("Token {}", token["token"].as_str()?);
    acknowledged.tokens.lock().await.push(token.clone());
    let group = json!({"name": name});
    assert_eq!(call(Method::POST, "/api/community/groups/", &token, group).await?.0, 201);
    if name.len() % 2 == 0 {
        let bearer = format!("Bearer {}", pair["access"].as_str()?);
        acknowledged.tokens.lock().await.retain(|other| *other != token);
        let (status, _) = call(Method::DELETE, "/api/auth/me/", &bearer, json!({"password": PASSWORD})).await?;
        assert_eq!(status, 204);
        acknowledged.revoked.lock().await.push(token);
    }
    Some(())
}

async fn me(client: &Client, installation: &Installation, who: &str) -> StatusCode {
    client.get(installation.url("/api/auth/me/")).header("authorization", who).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_every_kill() {
    let installation = Arc::new(Installation::new().await);
    let acknowledged = Arc::new(Acknowledged::default());
    let client = client();
    let mut server = installation.serve().await;

    for kill in 1..=KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let worker = |worker| tokio::spawn(run_users(installation.clone(), acknowledged.clone(), worker, stop.clone()));
        let workers: Vec<JoinHandle<()>> = (0..WORKERS).map(worker).collect();
        tokio::time::sleep(Duration::from_millis(400 + u64::from(kill) * 137 % 900)).await;
        server.kill().unwrap();
        server.wait().unwrap();
        stop.store(true, Ordering::SeqCst);
        for worker in workers {
            worker.await.unwrap();
        }
        // Check the database before the server runs again.
        installation.assert_healthy(&[]);
        server = installation.serve().await;
        let tokens = acknowledged.tokens.lock().await.clone();
        for token in tokens.iter().rev().take(50) {
            assert_eq!(me(&client, &installation, token).await, 200, "an issued token is valid");
        }
        let revoked = acknowledged.revoked.lock().await.clone();
        for token in revoked.iter().rev().take(50) {
            assert_eq!(me(&client, &installation, token).await, 401, "a deleted user stays deleted");
        }
        let requests = acknowledged.requests.load(Ordering::SeqCst);
        eprintln!(
            "killed {kill} times, {requests} requests, {} tokens issued, {} users deleted",
            tokens.len(),
            revoked.len()
        );
    }
    assert!(acknowledged.requests.load(Ordering::SeqCst) > 100, "there must be enough load to interrupt");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn throttles_survive_a_kill() {
    let installation = Installation::new().await;
    let mut server = installation.serve().await;
    let client = client();
    let credentials = json!({"username": "anna", "email": "anna@example.org", "password": PASSWORD});
    let register = client.post(installation.url("/api/auth/register/")).json(&credentials).send().await.unwrap();
    assert_eq!(register.status(), 201);
    let try_with = async |password: &str| {
        let body = json!({"username": "anna", "password": password});
        let response = client.post(installation.url("/api/auth/login/")).json(&body).send().await.unwrap();
        let wait = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), wait.and_then(|wait| wait.parse::<u64>().ok()).unwrap_or(0))
    };
    // After eight failures the delay is eight seconds.
    let mut failures = 0;
    while failures < 8 {
        match try_with("wrong").await {
            (401, _) => failures += 1,
            (429, wait) => tokio::time::sleep(Duration::from_secs(wait)).await,
            other => panic!("{other:?}"),
        }
    }
    server.kill().unwrap();
    server.wait().unwrap();
    server = installation.serve().await;
    let (status, wait) = try_with(PASSWORD).await;
    assert_eq!(status, 429, "the failures are still counted");
    assert!(wait >= 4, "the delay is kept: {wait}");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(try_with(PASSWORD).await.0, 200);
    server.kill().unwrap();
    server.wait().unwrap();
}
