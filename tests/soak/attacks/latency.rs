//! The latency of normal users.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::json;
use tokio::task::JoinHandle;

use super::{Scenario, requests::AttackRequest};

/// How long the latency is measured, during each attack and before it.
const MEASUREMENT_TIME: Duration = Duration::from_secs(6);
/// Concurrent requests of an attacker.
const CONCURRENCY: usize = 16;

/// A normal user who reads and sometimes writes, until stopped. Returns the latencies.
async fn use_normally(scenario: Arc<Scenario>, user: usize, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let client = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    let person = &scenario.others[user];
    let mut latencies = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let number = scenario.next();
        let request = match number % 8 {
            0 => client
                .post(scenario.installation.url(&format!("{}clients/", person.org)))
                .json(&json!({"name": format!("client of a user {number}")})),
            1 | 2 => client.get(scenario.installation.url("/api/auth/me/")),
            3 | 4 => client.get(scenario.installation.url("/api/community/groups/")),
            _ => client.get(scenario.installation.url(&format!("{}clients/?page_size=20", person.org))),
        };
        let sent = Instant::now();
        let response = request.header("authorization", &person.token).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        assert!([200, 201].contains(&status), "{status}: {text}");
        latencies.push(sent.elapsed());
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    latencies
}

/// Measures the p99 latency of the normal users.
pub(super) async fn watch(scenario: &Arc<Scenario>) -> Duration {
    let stop = Arc::new(AtomicBool::new(false));
    let people: Vec<JoinHandle<Vec<Duration>>> = (0..scenario.others.len())
        .map(|user| tokio::spawn(use_normally(scenario.clone(), user, stop.clone())))
        .collect();
    tokio::time::sleep(MEASUREMENT_TIME).await;
    stop.store(true, Ordering::SeqCst);
    let mut latencies = Vec::new();
    for person in people {
        latencies.extend(person.await.unwrap());
    }
    latencies.sort_unstable();
    assert!(latencies.len() > 100, "only {} responses", latencies.len());
    latencies[latencies.len() * 99 / 100]
}

/// Measures the p99 latency of the normal users during an attack. Also returns the number of responses to the attacker
/// by status class.
pub(super) async fn watch_attack(scenario: &Arc<Scenario>, attack: &Arc<AttackRequest>) -> (Duration, [u64; 6]) {
    let stop = Arc::new(AtomicBool::new(false));
    let attackers: Vec<JoinHandle<[u64; 6]>> = (0..CONCURRENCY)
        .map(|_| {
            let (scenario, attack, stop) = (scenario.clone(), attack.clone(), stop.clone());
            scenario.runtime.clone().spawn(async move {
                let mut responses = [0; 6];
                while !stop.load(Ordering::SeqCst) {
                    let class = match attack(&scenario).send().await {
                        Ok(response) => {
                            let class = usize::from(response.status().as_u16() / 100);
                            let _ = response.bytes().await;
                            class
                        }
                        Err(_) => 0,
                    };
                    responses[class.min(5)] += 1;
                    // Like the latency of a network, so that immediate rejections do not loop faster than a real client
                    // could.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                responses
            })
        })
        .collect();
    let p99 = watch(scenario).await;
    stop.store(true, Ordering::SeqCst);
    let mut responses = [0; 6];
    for attacker in attackers {
        for (sum, count) in responses.iter_mut().zip(attacker.await.unwrap()) {
            *sum += count;
        }
    }
    (p99, responses)
}
