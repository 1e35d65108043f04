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
/// How many people sign in, refresh and go at once.
const WORKERS: usize = 8;

/// What the server has promised so far.
#[derive(Default)]
struct Promises {
    /// User tokens that were given out and not taken back.
    tokens: Mutex<Vec<String>>,
    /// People of whom it was said that they are gone: what they showed before.
    gone: Mutex<Vec<String>>,
    acts: AtomicU32,
}

/// One after the other registers, signs in, refreshes, gets a token, makes a group, and goes; until told to stop.
async fn live(installation: Arc<Installation>, promises: Arc<Promises>, worker: usize, stop: Arc<AtomicBool>) {
    let client = Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let mut person = 0;
    while !stop.load(Ordering::SeqCst) {
        person += 1;
        let nonce = promises.acts.load(Ordering::SeqCst);
        let name = format!("w{worker}-{person}-{nonce}");
        if one_life(&client, &installation, &promises, &name).await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// None where the server went away in the middle.
async fn one_life(client: &Client, at: &Installation, promises: &Promises, name: &str) -> Option<()> {
    let call = async |method: Method, path: &str, who: &str, body: Value| {
        let request = client.request(method, at.url(path)).header("authorization", who).json(&body);
        let answer = request.send().await.ok()?;
        let status = answer.status();
        assert!(!status.is_server_error() || status == StatusCode::SERVICE_UNAVAILABLE, "{path}: {status}");
        let text = answer.text().await.ok()?;
        promises.acts.fetch_add(1, Ordering::SeqCst);
        Some((status, serde_json::from_str::<Value>(&text).unwrap_or_default()))
    };
    let credentials = json!({"username": name, "email": format!("{name}@example.org"), "password": PASSWORD});
    let (status, _) = call(Method::POST, "/api/auth/register/", "", credentials.clone()).await?;
    assert_eq!(status, 201);
    let (status, signed_in) = call(Method::POST, "/api/auth/login/", "", credentials.clone()).await?;
    assert_eq!(status, 200, "who was registered is there: {signed_in}");
    let refresh = json!({"refresh": signed_in["refresh"]});
    let (status, pair) = call(Method::POST, "/api/auth/refresh/", "", refresh).await?;
    assert_eq!(status, 200, "{pair}");
    let (status, token) = call(Method::POST, "/api/auth/token/", "", credentials).await?;
    assert_eq!(status, 200);
    let token = format!("Token {}", token["token"].as_str()?);
    promises.tokens.lock().await.push(token.clone());
    let group = json!({"name": name});
    assert_eq!(call(Method::POST, "/api/community/groups/", &token, group).await?.0, 201);
    if name.len() % 2 == 0 {
        let bearer = format!("Bearer {}", pair["access"].as_str()?);
        promises.tokens.lock().await.retain(|kept| *kept != token);
        let (status, _) = call(Method::DELETE, "/api/auth/me/", &bearer, json!({"password": PASSWORD})).await?;
        assert_eq!(status, 204);
        promises.gone.lock().await.push(token);
    }
    Some(())
}

async fn me(client: &Client, at: &Installation, who: &str) -> StatusCode {
    client.get(at.url("/api/auth/me/")).header("authorization", who).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_keeps_what_it_promised() {
    let installation = Arc::new(Installation::new().await);
    let promises = Arc::new(Promises::default());
    let client = client();
    let mut server = installation.serve().await;

    for kill in 1..=KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let worker = |worker| tokio::spawn(live(installation.clone(), promises.clone(), worker, stop.clone()));
        let workers: Vec<JoinHandle<()>> = (0..WORKERS).map(worker).collect();
        tokio::time::sleep(Duration::from_millis(400 + u64::from(kill) * 137 % 900)).await;
        server.kill().unwrap();
        server.wait().unwrap();
        stop.store(true, Ordering::SeqCst);
        for worker in workers {
            worker.await.unwrap();
        }
        // Before the server runs again: nothing points at nothing, and the file is sound.
        installation.assert_sound(&[]);
        server = installation.serve().await;
        let kept = promises.tokens.lock().await.clone();
        for token in kept.iter().rev().take(50) {
            assert_eq!(me(&client, &installation, token).await, 200, "a token that was given out is good");
        }
        let gone = promises.gone.lock().await.clone();
        for token in gone.iter().rev().take(50) {
            assert_eq!(me(&client, &installation, token).await, 401, "who has gone stays gone");
        }
        let acts = promises.acts.load(Ordering::SeqCst);
        eprintln!("killed {kill} times, {acts} acts, {} tokens kept, {} people gone", kept.len(), gone.len());
    }
    assert!(promises.acts.load(Ordering::SeqCst) > 100, "there was something to interrupt");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_outlives_a_kill() {
    let installation = Installation::new().await;
    let mut server = installation.serve().await;
    let client = client();
    let credentials = json!({"username": "anna", "email": "anna@example.org", "password": PASSWORD});
    let register = client.post(installation.url("/api/auth/register/")).json(&credentials).send().await.unwrap();
    assert_eq!(register.status(), 201);
    let try_with = async |password: &str| {
        let body = json!({"username": "anna", "password": password});
        let answer = client.post(installation.url("/api/auth/login/")).json(&body).send().await.unwrap();
        let wait = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), wait.and_then(|wait| wait.parse::<u64>().ok()).unwrap_or(0))
    };
    // Eight failures: the wait is eight seconds then.
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
    assert_eq!(status, 429, "the count is still there");
    assert!(wait >= 4, "and so is the wait: {wait}");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(try_with(PASSWORD).await.0, 200);
    server.kill().unwrap();
    server.wait().unwrap();
}
