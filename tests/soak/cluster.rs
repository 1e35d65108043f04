//! Two gateways on one PostgreSQL, joined by NATS or by PostgreSQL alone, while each of them is killed and restarted.

mod messages;
mod nats;

use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use self::{messages::Traffic, nats::Nats};
use crate::{
    installation::{Installation, PASSWORD, client},
    sockets::sign_up,
};

/// How many messages are sent.
const MESSAGES: usize = 10_000;
const SENDERS: usize = 20;
/// So many that none of them misses more than a client can resume with, while a gateway starts.
const RECEIVERS: usize = 20;
/// A shell command that kills and restarts PostgreSQL.
const RESTART_POSTGRES: &str = "GUILDHALL_TEST_POSTGRES_RESTART";

/// The two gateways, with their processes.
struct Cluster {
    gateways: [Arc<Installation>; 2],
    processes: [Child; 2],
}

impl Cluster {
    /// `None` if there is no PostgreSQL that can be restarted.
    async fn start(nats: Option<&Nats>) -> Option<Self> {
        let url = nats.map(Nats::url).unwrap_or_default();
        let settings = [
            ("GUILDHALL__NATS__URL", url.as_str()),
            ("GUILDHALL__MESSAGING__SEND_BURST", "1000000"),
            ("GUILDHALL__MESSAGING__SENDS_PER_SECOND", "1000000"),
        ];
        let first = Installation::new().await.with(&settings);
        if !first.is_on_postgres() || std::env::var_os(RESTART_POSTGRES).is_none() {
            eprintln!("SKIPPED: two gateways need PostgreSQL. Run the tests with tests/with-postgres.sh.");
            return None;
        }
        // What was acknowledged has to survive a crash of PostgreSQL, unlike in other tests.
        let first = first.with_durable_commits();
        let second = first.beside().await;
        let processes = [first.serve().await, second.serve().await];
        Some(Self { gateways: [Arc::new(first), Arc::new(second)], processes })
    }

    /// Kills a gateway and starts it again.
    async fn kill(&mut self, index: usize) {
        self.processes[index].kill().unwrap();
        self.processes[index].wait().unwrap();
        self.processes[index] = self.gateways[index].serve().await;
    }

    /// Stops a gateway, which ends by itself, and starts it again.
    async fn restart(&mut self, index: usize) {
        let pid = Pid::from_child(&self.processes[index]);
        kill_process(pid, Signal::TERM).unwrap();
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.processes[index].try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < Duration::from_secs(40), "the gateway does not stop");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(status.success(), "{status}");
        self.processes[index] = self.gateways[index].serve().await;
    }

    /// Waits until the bus of both gateways is in this state.
    async fn wait_for_bus(&self, state: &str) {
        let client = client();
        let started = Instant::now();
        for gateway in &self.gateways {
            loop {
                let ready = client.get(gateway.url("/readyz")).send().await.unwrap();
                let (status, body) = (ready.status(), ready.json::<Value>().await.unwrap());
                if status == 200 && body["parts"]["bus"] == state {
                    assert_eq!(body["status"], state);
                    break;
                }
                assert!(started.elapsed() < Duration::from_secs(30), "the bus does not become {state}: {body}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Signs a user in at one gateway, with a socket at the other, and out again.
    async fn assert_that_signing_out_closes_sockets(&self, name: &str) {
        let [first, second] = &self.gateways;
        sign_up(first, name).await;
        let client = client();
        let post = async |path: &str, body: Value| client.post(first.url(path)).json(&body).send().await.unwrap();
        let tokens = post("/api/auth/login/", json!({"username": name, "password": PASSWORD})).await;
        let tokens: Value = tokens.json().await.unwrap();
        let access = tokens["access"].as_str().unwrap();
        let url = format!("ws://{}/ws/notifications/?token={access}", second.address());
        let (mut socket, _) = connect_async(url).await.unwrap();
        socket.next().await.unwrap().unwrap();
        let signed_out = Instant::now();
        assert_eq!(post("/api/auth/logout/", json!({"refresh": tokens["refresh"]})).await.status(), 204);
        let code = loop {
            match tokio::time::timeout(Duration::from_secs(5), socket.next()).await.unwrap() {
                Some(Ok(Message::Close(frame))) => break u16::from(frame.unwrap().code),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        let after = signed_out.elapsed();
        assert_eq!(code, 4401);
        assert!(after < Duration::from_secs(1), "{after:?}");
        eprintln!("signed out at one gateway: the socket at the other was closed after {after:?}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn restart_postgres() {
    let command = std::env::var(RESTART_POSTGRES).unwrap();
    // Its output would keep the pipe of the test open.
    let status = Command::new("sh").args(["-c", &command]).current_dir("/").stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "PostgreSQL does not restart");
}

/// Sends messages over both gateways to people with a socket at each of them, while everything fails once.
async fn run(mut nats: Option<Nats>) {
    let Some(mut cluster) = Cluster::start(nats.as_ref()).await else { return };
    cluster.wait_for_bus("ok").await;
    cluster.assert_that_signing_out_closes_sockets("leaving").await;
    let traffic = Traffic::start(&cluster.gateways, SENDERS, RECEIVERS, MESSAGES).await;
    traffic.wait_for(MESSAGES / 10).await;
    cluster.kill(0).await;
    traffic.wait_for(MESSAGES * 2 / 10).await;
    cluster.kill(1).await;
    if let Some(nats) = &mut nats {
        traffic.wait_for(MESSAGES * 3 / 10).await;
        nats.stop();
        cluster.wait_for_bus("degraded").await;
        nats.start();
        cluster.wait_for_bus("ok").await;
        traffic.wait_for(MESSAGES * 4 / 10).await;
        nats.pause();
        cluster.wait_for_bus("degraded").await;
        nats.resume();
        cluster.wait_for_bus("ok").await;
    }
    traffic.wait_for(MESSAGES * 5 / 10).await;
    restart_postgres();
    cluster.wait_for_bus("ok").await;
    traffic.wait_for(MESSAGES * 7 / 10).await;
    for index in 0..2 {
        cluster.restart(index).await;
    }
    traffic.wait_for(MESSAGES).await;
    traffic.assert_complete().await;
    cluster.wait_for_bus("ok").await;
    cluster.assert_that_signing_out_closes_sockets("leaving-too").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_joined_by_nats_lose_nothing() {
    match Nats::install() {
        Some(nats) => run(Some(nats)).await,
        None => eprintln!("SKIPPED: nats-server is not installed (Debian's package has this name)."),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_joined_by_postgresql_lose_nothing() {
    run(None).await;
}

/// A client that does not wait long.
fn impatient() -> Client {
    Client::builder().timeout(Duration::from_secs(5)).build().unwrap()
}
