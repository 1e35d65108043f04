//! Overload tests: while one client attacks the server, the latency of the others stays about the same.

mod latency;
mod requests;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{
    Client, Method, RequestBuilder,
    multipart::{Form, Part},
};
use rustix::process::setpriority_process;
use serde_json::json;
use tokio::runtime::{Builder, Handle};

use self::{
    latency::{watch, watch_attack},
    requests::{attacks, hold_connections},
};
use crate::installation::{Installation, Person};

/// Number of attackers, who take turns.
const ATTACKERS: usize = 8;
/// Additional attackers for repeated measurements.
const SPARE_ATTACKERS: usize = 6;
/// How often an attack is measured if it seems to slow others down. The p99 of some nine hundred responses is noisy.
const MEASUREMENTS: usize = 3;
/// The maximum factor by which the latency of others may increase.
const FACTOR: u32 = 2;
/// The same for attacks on a PostgreSQL database that shares the cores with the server, because its processes do not
/// yield.
const POSTGRES_FACTOR: u32 = 3;
/// Attacks that keep the database busy.
const DATABASE_ATTACKS: [&str; 4] =
    ["searches with many hits", "lists with many filters", "counted lists, last pages", "exports of everything"];
/// The attacker's address, in another network than the others.
const ATTACKER_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66));
/// The `nice(2)` value of the attacker's threads: a real attacker has its own machine, so its CPU time must not count.
const NICENESS: i32 = 19;
/// Maximum memory usage of the server, in KiB.
const MAX_MEMORY: u64 = 700 << 10;

struct Scenario {
    installation: Installation,
    /// Several, so that one attack does not use up the quotas of the next.
    attackers: Vec<Attacker>,
    attack: AtomicUsize,
    others: Vec<Person>,
    client: Client,
    /// The runtime of the attacker.
    runtime: Handle,
    count: AtomicU64,
}

struct Attacker {
    person: Person,
    /// The path of a deal.
    deal: String,
}

impl Scenario {
    /// The current attacker.
    fn attacker(&self) -> &Person {
        &self.attackers[self.attack.load(Ordering::SeqCst)].person
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.installation.url(path)).header("authorization", &self.attacker().token)
    }

    fn import(&self, name: &str, bytes: &'static [u8]) -> RequestBuilder {
        let file = Part::bytes(bytes).file_name(name.to_owned());
        let form = Form::new().text("kind", "clients").text("dry_run", "true").part("file", file);
        self.request(Method::POST, &format!("{}imports/", self.attacker().org)).multipart(form)
    }

    fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }
}

/// Creates many clients and a deal for an attacker.
async fn attacker_with_data(installation: &Installation, person: Person) -> Attacker {
    let client = crate::installation::client();
    let request = |method: Method, path: &str| {
        client
            .request(method, installation.url(&format!("{}{path}", person.org)))
            .header("authorization", &person.token)
    };
    let send = async |request: RequestBuilder| {
        let response = request.send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{text}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let rows: String = (0..20_000).map(|n| format!("client {n},notes of the client {n} in the city\n")).collect();
    let file = Part::bytes(format!("name,notes\n{rows}").into_bytes()).file_name("clients.csv");
    let form = Form::new().text("kind", "clients").part("file", file);
    send(request(Method::POST, "imports/").multipart(form)).await;
    let page = send(request(Method::GET, "clients/?page_size=1")).await;
    let new = json!({"title": "x", "client_id": page["results"][0]["id"]});
    let deal = send(request(Method::POST, "deals/").json(&new)).await;
    Attacker { deal: format!("{}deals/{}/", person.org, deal["id"]), person }
}

/// The peak memory usage of the server since the last call, in KiB.
fn peak_memory(server: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{server}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let _ = std::fs::write(format!("/proc/{server}/clear_refs"), "5");
    peak.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attacking_client_does_not_slow_down_others_much() {
    // The default limits and password hash.
    let installation = Installation::new().await.with(&[
        ("GUILDHALL__ACCOUNTS__LIMITS__REGISTRATIONS_PER_HOUR", "20"),
        ("GUILDHALL__LIMITS__WRITES_PER_MINUTE", "600"),
        ("GUILDHALL__ACCOUNTS__HASH__MEMORY_KIB", "19456"),
        ("GUILDHALL__ACCOUNTS__HASH__PASSES", "2"),
    ]);
    let is_postgres = installation.is_on_postgres();
    let mut server = installation.serve().await;
    let lower_priority = || setpriority_process(None, NICENESS).unwrap();
    let runtime = Builder::new_multi_thread().enable_all().on_thread_start(lower_priority).build().unwrap();
    let mut attackers = Vec::new();
    for number in 0..ATTACKERS + SPARE_ATTACKERS {
        attackers
            .push(attacker_with_data(&installation, installation.sign_up(&format!("mallory{number}")).await).await);
    }
    let others =
        vec![installation.sign_up("ben").await, installation.sign_up("cleo").await, installation.sign_up("dora").await];
    let client =
        Client::builder().local_address(ATTACKER_ADDRESS).timeout(Duration::from_secs(60)).pool_max_idle_per_host(0);
    let scenario = Scenario {
        installation,
        attackers,
        attack: AtomicUsize::new(0),
        others,
        client: client.build().unwrap(),
        runtime: runtime.handle().clone(),
        count: AtomicU64::new(0),
    };
    let scenario = Arc::new(scenario);

    let mut measured = Vec::new();
    let mut record = |what: &'static str, calm: Duration, attacked: Duration, responses: String| {
        let memory = peak_memory(server.id());
        eprintln!("{what:<36} p99 {calm:>8.1?} -> {attacked:>8.1?}, {:>4} MiB, {responses}", memory >> 10);
        measured.push(Measured { what, calm, attacked, memory });
    };
    peak_memory(server.id());
    let mut spare = (ATTACKERS..ATTACKERS + SPARE_ATTACKERS).cycle();
    for (number, (what, attack)) in attacks().into_iter().enumerate() {
        scenario.attack.store(number % ATTACKERS, Ordering::SeqCst);
        let attack = Arc::new(attack);
        for measurement in 0..MEASUREMENTS {
            let calm = watch(&scenario).await;
            let (attacked, responses) = watch_attack(&scenario, &attack).await;
            assert!(responses.iter().sum::<u64>() > 0, "{what}");
            let responses =
                format!("{} successful, {} rejected, {} unavailable", responses[2], responses[4], responses[5]);
            record(what, calm, attacked, responses);
            if measurement == 0 && attacked <= calm * FACTOR {
                break;
            }
            // An attacker with unused quotas.
            scenario.attack.store(spare.next().unwrap(), Ordering::SeqCst);
        }
    }

    let calm = watch(&scenario).await;
    let (opened, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let holding = runtime.spawn(hold_connections(scenario.clone(), opened.clone(), stop.clone()));
    let attacked = watch(&scenario).await;
    stop.store(true, Ordering::SeqCst);
    holding.await.unwrap();
    record("idle connections", calm, attacked, format!("{} opened", opened.load(Ordering::SeqCst)));

    server.kill().unwrap();
    server.wait().unwrap();
    runtime.shutdown_background();
    assert!(measured.iter().all(|measured| measured.memory <= MAX_MEMORY), "{measured:#?}");
    let typical = median(measured.iter().map(|measured| measured.calm).collect());
    let slow = measured.chunk_by(|one, next| one.what == next.what).filter_map(|attempts| {
        let what = attempts[0].what;
        let attacked = median(attempts.iter().map(|measured| measured.attacked).collect());
        let calm = median(attempts.iter().map(|measured| measured.calm).collect()).max(typical);
        let shares_cores = is_postgres && DATABASE_ATTACKS.contains(&what);
        let factor = if shares_cores { POSTGRES_FACTOR } else { FACTOR };
        (attacked > calm * factor).then(|| format!("{what}: {calm:?} -> {attacked:?}"))
    });
    let slow: Vec<_> = slow.collect();
    assert!(slow.is_empty(), "{slow:#?}");
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}

/// The p99 latency before and during an attack, and the peak memory usage of the server in KiB.
#[derive(Debug)]
struct Measured {
    what: &'static str,
    calm: Duration,
    attacked: Duration,
    memory: u64,
}
