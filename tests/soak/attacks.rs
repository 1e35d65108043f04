//! Overload tests: while one client attacks the server, the latency of the others stays about the same.

use std::{
    io::{Cursor, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{
    Client, Method, RequestBuilder,
    multipart::{Form, Part},
};
use rustix::process::setpriority_process;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    runtime::{Builder, Handle},
    task::JoinHandle,
};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::installation::{Installation, Person};

/// How long the latency is measured, during each attack and before it.
const MEASUREMENT_TIME: Duration = Duration::from_secs(6);
/// Concurrent requests of an attacker.
const CONCURRENCY: usize = 16;
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

fn leak(bytes: Vec<u8>) -> &'static [u8] {
    Box::leak(bytes.into_boxed_slice())
}

/// A small workbook that expands to a hundred times its size, just below all limits.
fn workbook(rows: usize) -> &'static [u8] {
    let root = "<Relationships><Relationship Id=\"r1\" Type=\"http://x/relationships/officeDocument\" \
        Target=\"xl/workbook.xml\"/></Relationships>";
    let book = "<workbook xmlns:r=\"r\"><sheets><sheet name=\"s\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>";
    let book_relations = "<Relationships><Relationship Id=\"r1\" Type=\"http://x/worksheet\" \
        Target=\"worksheets/sheet1.xml\"/></Relationships>";
    let cells: String = (0..20).map(|_| "<c t=\"inlineStr\"><is><t>a name of somebody</t></is></c>").collect();
    let headings: String = (0..20).map(|n| format!("<c t=\"inlineStr\"><is><t>h{n}</t></is></c>")).collect();
    let sheet = format!(
        "<worksheet><sheetData><row>{headings}</row>{}</sheetData></worksheet>",
        format!("<row>{cells}</row>").repeat(rows)
    );
    let strings = format!("<sst>{}</sst>", "<si><t>aaaa</t></si>".repeat(1_500_000));
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [
        ("_rels/.rels", root),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", book_relations),
        ("xl/sharedStrings.xml", &strings),
        ("xl/worksheets/sheet1.xml", &sheet),
    ] {
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    leak(archive.finish().unwrap().into_inner())
}

type AttackRequest = Box<dyn Fn(&Scenario) -> RequestBuilder + Send + Sync>;
type Attack = (&'static str, AttackRequest);

/// All attacks, each with its request.
fn attacks() -> Vec<Attack> {
    let bomb = workbook(50_000);
    let commas = leak(format!("name\n{}", format!("{}\n", ",".repeat(990)).repeat(10_000)).into_bytes());
    let rows = leak(format!("name,notes\n{}", "somebody,something\n".repeat(99_999)).into_bytes());
    let words: String = (0..60).map(|n| format!("{}{} ", char::from(b'a' + n % 26), n % 10)).collect();
    // All filters, each with its maximum length.
    let ids = (1..=100).map(|id| (id * 150).to_string()).collect::<Vec<_>>().join(",");
    let filters: String = ["id", "created_at", "updated_at"]
        .iter()
        .flat_map(|field| {
            let (low, high) =
                if *field == "id" { ("0", "999999") } else { ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z") };
            [("gte", low), ("gt", low), ("lte", high), ("lt", high), ("isnull", "false")]
                .map(|(operator, value)| format!("&{field}__{operator}={value}"))
        })
        .chain([format!("&id__in={ids}"), "&search=client+1".to_owned()])
        .collect();
    let large = leak(vec![0x55; 9 << 20]);
    vec![
        ("workbooks that expand to a large size", Box::new(move |scenario| scenario.import("a.xlsx", bomb))),
        ("CSV files with many columns", Box::new(move |scenario| scenario.import("a.csv", commas))),
        ("CSV files with many rows", Box::new(move |scenario| scenario.import("a.csv", rows))),
        (
            "searches for many terms",
            Box::new(move |scenario| {
                scenario.request(Method::GET, &format!("/api/community/search/?q={}", words.trim().replace(' ', "+")))
            }),
        ),
        (
            "searches with many hits",
            Box::new(|scenario| scenario.request(Method::GET, &format!("{}search/?q=cl", scenario.attacker().org))),
        ),
        (
            "lists with many filters",
            Box::new(move |scenario| {
                scenario.request(Method::GET, &format!("{}clients/?ordering=name{filters}", scenario.attacker().org))
            }),
        ),
        (
            "counted lists, last pages",
            Box::new(|scenario| {
                let query = "?page=40&page_size=100&search=client&ordering=-name&count=exact";
                scenario.request(Method::GET, &format!("{}clients/{query}", scenario.attacker().org))
            }),
        ),
        (
            "exports of everything",
            Box::new(|scenario| {
                let ending = ["csv", "xlsx"][usize::from(scenario.next().is_multiple_of(2))];
                scenario.request(Method::GET, &format!("{}exports/clients.{ending}", scenario.attacker().org))
            }),
        ),
        (
            "registrations",
            Box::new(|scenario| {
                let name = format!("bot{}", scenario.next());
                let new =
                    json!({"username": name, "email": format!("{name}@example.org"), "password": "correct horse é"});
                scenario.client.post(scenario.installation.url("/api/auth/register/")).json(&new)
            }),
        ),
        (
            "sign-ins with wrong passwords",
            Box::new(|scenario| {
                let name = ["ben", "cleo", "nobody"][usize::try_from(scenario.next() % 3).unwrap_or(0)];
                let guess = json!({"username": name, "password": format!("guess {}", scenario.next())});
                scenario.client.post(scenario.installation.url("/api/auth/login/")).json(&guess)
            }),
        ),
        (
            "password reset requests",
            Box::new(|scenario| {
                let target = json!({"email": "ben@example.org"});
                scenario.client.post(scenario.installation.url("/api/auth/password/reset/")).json(&target)
            }),
        ),
        (
            "uploads",
            Box::new(move |scenario| {
                let form = Form::new().part("file", Part::bytes(large).file_name("a.bin"));
                scenario
                    .request(
                        Method::POST,
                        &format!("{}files/", scenario.attackers[scenario.attack.load(Ordering::SeqCst)].deal),
                    )
                    .multipart(form)
            }),
        ),
        (
            "writes",
            Box::new(|scenario| {
                let new = json!({"name": format!("client {}", scenario.next()), "notes": "x".repeat(9000)});
                scenario.request(Method::POST, &format!("{}clients/", scenario.attacker().org)).json(&new)
            }),
        ),
        (
            "deeply nested JSON",
            Box::new(|scenario| {
                let body = format!("{{\"name\": {}", "[".repeat(1_000_000));
                let request = scenario.request(Method::POST, &format!("{}clients/", scenario.attacker().org));
                request.header("content-type", "application/json").body(body)
            }),
        ),
    ]
}

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
async fn watch(scenario: &Arc<Scenario>) -> Duration {
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
async fn watch_attack(scenario: &Arc<Scenario>, attack: &Arc<AttackRequest>) -> (Duration, [u64; 6]) {
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

/// Keeps opening connections that send an incomplete request or nothing.
async fn hold_connections(scenario: Arc<Scenario>, opened: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    let address: SocketAddr = scenario.installation.address().parse().unwrap();
    let mut connections: Vec<TcpStream> = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(ATTACKER_ADDRESS, 0)).unwrap();
        if let Ok(mut stream) = socket.connect(address).await {
            let count = opened.fetch_add(1, Ordering::SeqCst);
            if count.is_multiple_of(2) {
                let _ = stream.write_all(b"POST /api/auth/login/ HTTP/1.1\r\nHost: a\r\nContent-Le").await;
            }
            connections.push(stream);
        }
        if connections.len() > 3000 {
            connections.drain(..1000);
        }
        if connections.len() % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
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
