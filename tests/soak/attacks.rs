//! While one client does its worst, others are answered about as fast as before.

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

/// For how long each attack, and the calm before it, is watched.
const WATCHED: Duration = Duration::from_secs(6);
/// How many requests an attacker has under way.
const AT_ONCE: usize = 16;
/// How many people attack, one after the other.
const ATTACKERS: usize = 8;
/// How many more there are for attacks that are measured again.
const SPARE_ATTACKERS: usize = 6;
/// How often an attack is measured that seems to slow others down: of some nine hundred answers the slowest nine are
/// few, and chance decides among them.
const MEASUREMENTS: usize = 3;
/// By how much others' answers may take longer.
const FACTOR: u32 = 2;
/// The same for what keeps a database busy that shares these cores with the server: its processes do not give way.
const FACTOR_OF_POSTGRES: u32 = 3;
/// What keeps the database busy.
const OF_THE_DATABASE: [&str; 4] =
    ["searches for what is everywhere", "lists with many filters", "counted lists, far down", "exports of everything"];
/// From where the attacker calls, which is another network.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66));
/// How much the attacker's threads give way, on the scale of `nice(2)`: in truth it computes on a machine of its own,
/// and what it costs there says nothing about the server.
const NICENESS: i32 = 19;
/// How much memory the server may take, in KiB.
const MOST_MEMORY: u64 = 700 << 10;

struct Scene {
    at: Installation,
    /// One for each attack, so that none has used up what the next may take.
    attackers: Vec<Attacker>,
    attack: AtomicUsize,
    others: Vec<Person>,
    elsewhere: Client,
    /// The threads of the attacker.
    threads: Handle,
    count: AtomicU64,
}

struct Attacker {
    person: Person,
    /// The path of a deal.
    deal: String,
}

impl Scene {
    /// Whoever attacks at this time.
    fn attacker(&self) -> &Person {
        &self.attackers[self.attack.load(Ordering::SeqCst)].person
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.elsewhere.request(method, self.at.url(path)).header("authorization", &self.attacker().token)
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

/// A few kilobytes that are a hundred times as much unpacked, made to pass every limit but just.
fn workbook(rows: usize) -> &'static [u8] {
    let root = "<Relationships><Relationship Id=\"r1\" Type=\"http://x/relationships/officeDocument\" \
        Target=\"xl/workbook.xml\"/></Relationships>";
    let book = "<workbook xmlns:r=\"r\"><sheets><sheet name=\"s\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>";
    let of_book = "<Relationships><Relationship Id=\"r1\" Type=\"http://x/worksheet\" \
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
        ("xl/_rels/workbook.xml.rels", of_book),
        ("xl/sharedStrings.xml", &strings),
        ("xl/worksheets/sheet1.xml", &sheet),
    ] {
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    leak(archive.finish().unwrap().into_inner())
}

type AttackRequest = Box<dyn Fn(&Scene) -> RequestBuilder + Send + Sync>;
type Attack = (&'static str, AttackRequest);

/// One request of each of the ways.
fn attacks() -> Vec<Attack> {
    let bomb = workbook(50_000);
    let commas = leak(format!("name\n{}", format!("{}\n", ",".repeat(990)).repeat(10_000)).into_bytes());
    let rows = leak(format!("name,notes\n{}", "somebody,something\n".repeat(99_999)).into_bytes());
    let words: String = (0..60).map(|n| format!("{}{} ", char::from(b'a' + n % 26), n % 10)).collect();
    // Every filter that there is, each as long as it may be.
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
        ("workbooks that unpack to much", Box::new(move |scene| scene.import("a.xlsx", bomb))),
        ("tables of commas", Box::new(move |scene| scene.import("a.csv", commas))),
        ("tables of many rows", Box::new(move |scene| scene.import("a.csv", rows))),
        (
            "searches for many words",
            Box::new(move |scene| {
                scene.request(Method::GET, &format!("/api/community/search/?q={}", words.trim().replace(' ', "+")))
            }),
        ),
        (
            "searches for what is everywhere",
            Box::new(|scene| scene.request(Method::GET, &format!("{}search/?q=cl", scene.attacker().org))),
        ),
        (
            "lists with many filters",
            Box::new(move |scene| {
                scene.request(Method::GET, &format!("{}clients/?ordering=name{filters}", scene.attacker().org))
            }),
        ),
        (
            "counted lists, far down",
            Box::new(|scene| {
                let query = "?page=40&page_size=100&search=client&ordering=-name&count=exact";
                scene.request(Method::GET, &format!("{}clients/{query}", scene.attacker().org))
            }),
        ),
        (
            "exports of everything",
            Box::new(|scene| {
                let ending = ["csv", "xlsx"][usize::from(scene.next().is_multiple_of(2))];
                scene.request(Method::GET, &format!("{}exports/clients.{ending}", scene.attacker().org))
            }),
        ),
        (
            "registrations",
            Box::new(|scene| {
                let name = format!("bot{}", scene.next());
                let new =
                    json!({"username": name, "email": format!("{name}@example.org"), "password": "correct horse é"});
                scene.elsewhere.post(scene.at.url("/api/auth/register/")).json(&new)
            }),
        ),
        (
            "sign-ins with wrong passwords",
            Box::new(|scene| {
                let name = ["ben", "cleo", "nobody"][usize::try_from(scene.next() % 3).unwrap_or(0)];
                let guess = json!({"username": name, "password": format!("guess {}", scene.next())});
                scene.elsewhere.post(scene.at.url("/api/auth/login/")).json(&guess)
            }),
        ),
        (
            "requests for new passwords",
            Box::new(|scene| {
                let whose = json!({"email": "ben@example.org"});
                scene.elsewhere.post(scene.at.url("/api/auth/password/reset/")).json(&whose)
            }),
        ),
        (
            "uploads",
            Box::new(move |scene| {
                let form = Form::new().part("file", Part::bytes(large).file_name("a.bin"));
                scene
                    .request(
                        Method::POST,
                        &format!("{}files/", scene.attackers[scene.attack.load(Ordering::SeqCst)].deal),
                    )
                    .multipart(form)
            }),
        ),
        (
            "writes",
            Box::new(|scene| {
                let new = json!({"name": format!("client {}", scene.next()), "notes": "x".repeat(9000)});
                scene.request(Method::POST, &format!("{}clients/", scene.attacker().org)).json(&new)
            }),
        ),
        (
            "bodies of very deep and wide JSON",
            Box::new(|scene| {
                let body = format!("{{\"name\": {}", "[".repeat(1_000_000));
                let request = scene.request(Method::POST, &format!("{}clients/", scene.attacker().org));
                request.header("content-type", "application/json").body(body)
            }),
        ),
    ]
}

/// Somebody who looks at things and adds some, at a leisurely pace, until told to stop: how long each answer took.
async fn live(scene: Arc<Scene>, who: usize, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let client = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    let person = &scene.others[who];
    let mut took = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let number = scene.next();
        let request = match number % 8 {
            0 => client
                .post(scene.at.url(&format!("{}clients/", person.org)))
                .json(&json!({"name": format!("somebody {number}")})),
            1 | 2 => client.get(scene.at.url("/api/auth/me/")),
            3 | 4 => client.get(scene.at.url("/api/community/groups/")),
            _ => client.get(scene.at.url(&format!("{}clients/?page_size=20", person.org))),
        };
        let asked = Instant::now();
        let answer = request.header("authorization", &person.token).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert!([200, 201].contains(&status), "{status}: {text}");
        took.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    took
}

/// How long the slowest of a hundred answers takes, while everybody lives.
async fn watch(scene: &Arc<Scene>) -> Duration {
    let stop = Arc::new(AtomicBool::new(false));
    let people: Vec<JoinHandle<Vec<Duration>>> =
        (0..scene.others.len()).map(|who| tokio::spawn(live(scene.clone(), who, stop.clone()))).collect();
    tokio::time::sleep(WATCHED).await;
    stop.store(true, Ordering::SeqCst);
    let mut took = Vec::new();
    for person in people {
        took.extend(person.await.unwrap());
    }
    took.sort_unstable();
    assert!(took.len() > 100, "only {} answers", took.len());
    took[took.len() * 99 / 100]
}

/// How long the slowest of a hundred answers takes while one client asks for something as often as it can, and how its own
/// requests were answered, by the class of the status.
async fn while_asked(scene: &Arc<Scene>, attack: &Arc<AttackRequest>) -> (Duration, [u64; 6]) {
    let stop = Arc::new(AtomicBool::new(false));
    let attackers: Vec<JoinHandle<[u64; 6]>> = (0..AT_ONCE)
        .map(|_| {
            let (scene, attack, stop) = (scene.clone(), attack.clone(), stop.clone());
            scene.threads.clone().spawn(async move {
                let mut answers = [0; 6];
                while !stop.load(Ordering::SeqCst) {
                    let class = match attack(&scene).send().await {
                        Ok(answer) => {
                            let class = usize::from(answer.status().as_u16() / 100);
                            let _ = answer.bytes().await;
                            class
                        }
                        Err(_) => 0,
                    };
                    answers[class.min(5)] += 1;
                    // What is refused at once is asked again no faster than a client can over a network.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                answers
            })
        })
        .collect();
    let slowest = watch(scene).await;
    stop.store(true, Ordering::SeqCst);
    let mut answers = [0; 6];
    for attacker in attackers {
        for (sum, more) in answers.iter_mut().zip(attacker.await.unwrap()) {
            *sum += more;
        }
    }
    (slowest, answers)
}

/// How much memory the server has taken at most since it was asked last, in KiB.
fn memory(server: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{server}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let _ = std::fs::write(format!("/proc/{server}/clear_refs"), "5");
    peak.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_that_does_its_worst_slows_nobody_down_much() {
    // The usual limits, and what a password really costs.
    let at = Installation::new().await.with(&[
        ("GUILDHALL__ACCOUNTS__LIMITS__REGISTRATIONS_PER_HOUR", "20"),
        ("GUILDHALL__LIMITS__WRITES_PER_MINUTE", "600"),
        ("GUILDHALL__ACCOUNTS__HASH__MEMORY_KIB", "19456"),
        ("GUILDHALL__ACCOUNTS__HASH__PASSES", "2"),
    ]);
    let is_postgres = at.is_on_postgres();
    let mut server = at.serve().await;
    let give_way = || setpriority_process(None, NICENESS).unwrap();
    let threads = Builder::new_multi_thread().enable_all().on_thread_start(give_way).build().unwrap();
    let mut attackers = Vec::new();
    for number in 0..ATTACKERS + SPARE_ATTACKERS {
        attackers.push(furnished(&at, at.newcomer(&format!("mallory{number}")).await).await);
    }
    let others = vec![at.newcomer("ben").await, at.newcomer("cleo").await, at.newcomer("dora").await];
    let elsewhere =
        Client::builder().local_address(ELSEWHERE).timeout(Duration::from_secs(60)).pool_max_idle_per_host(0);
    let scene = Scene {
        at,
        attackers,
        attack: AtomicUsize::new(0),
        others,
        elsewhere: elsewhere.build().unwrap(),
        threads: threads.handle().clone(),
        count: AtomicU64::new(0),
    };
    let scene = Arc::new(scene);

    let mut measured = Vec::new();
    let mut note = |what: &'static str, calm: Duration, attacked: Duration, answers: String| {
        let memory = memory(server.id());
        eprintln!("{what:<36} p99 {calm:>8.1?} -> {attacked:>8.1?}, {:>4} MiB, {answers}", memory >> 10);
        measured.push(Measured { what, calm, attacked, memory });
    };
    memory(server.id());
    let mut spare = (ATTACKERS..ATTACKERS + SPARE_ATTACKERS).cycle();
    for (number, (what, attack)) in attacks().into_iter().enumerate() {
        scene.attack.store(number % ATTACKERS, Ordering::SeqCst);
        let attack = Arc::new(attack);
        for measurement in 0..MEASUREMENTS {
            let calm = watch(&scene).await;
            let (attacked, answers) = while_asked(&scene, &attack).await;
            assert!(answers.iter().sum::<u64>() > 0, "{what}");
            let answers = format!("{} taken, {} refused, {} unavailable", answers[2], answers[4], answers[5]);
            note(what, calm, attacked, answers);
            if measurement == 0 && attacked <= calm * FACTOR {
                break;
            }
            // One who has not used up what they may take.
            scene.attack.store(spare.next().unwrap(), Ordering::SeqCst);
        }
    }

    let calm = watch(&scene).await;
    let (silent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let holding = threads.spawn(hold_connections(scene.clone(), silent.clone(), stop.clone()));
    let attacked = watch(&scene).await;
    stop.store(true, Ordering::SeqCst);
    holding.await.unwrap();
    note("connections that say nothing", calm, attacked, format!("{} opened", silent.load(Ordering::SeqCst)));

    server.kill().unwrap();
    server.wait().unwrap();
    threads.shutdown_background();
    assert!(measured.iter().all(|measured| measured.memory <= MOST_MEMORY), "{measured:#?}");
    let usual = median(measured.iter().map(|measured| measured.calm).collect());
    let slow = measured.chunk_by(|one, next| one.what == next.what).filter_map(|of_one| {
        let what = of_one[0].what;
        let attacked = median(of_one.iter().map(|measured| measured.attacked).collect());
        let calm = median(of_one.iter().map(|measured| measured.calm).collect()).max(usual);
        let shares_cores = is_postgres && OF_THE_DATABASE.contains(&what);
        let factor = if shares_cores { FACTOR_OF_POSTGRES } else { FACTOR };
        (attacked > calm * factor).then(|| format!("{what}: {calm:?} -> {attacked:?}"))
    });
    let slow: Vec<_> = slow.collect();
    assert!(slow.is_empty(), "{slow:#?}");
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}

/// How long the slowest of a hundred answers took before an attack and during it, and the memory that the server took, in
/// KiB.
#[derive(Debug)]
struct Measured {
    what: &'static str,
    calm: Duration,
    attacked: Duration,
    memory: u64,
}

/// Opens connections that send half a request or nothing, again and again, and keeps them.
async fn hold_connections(scene: Arc<Scene>, opened: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    let address: SocketAddr = scene.at.address().parse().unwrap();
    let mut held: Vec<TcpStream> = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(ELSEWHERE, 0)).unwrap();
        if let Ok(mut stream) = socket.connect(address).await {
            let count = opened.fetch_add(1, Ordering::SeqCst);
            if count.is_multiple_of(2) {
                let _ = stream.write_all(b"POST /api/auth/login/ HTTP/1.1\r\nHost: a\r\nContent-Le").await;
            }
            held.push(stream);
        }
        if held.len() > 3000 {
            held.drain(..1000);
        }
        if held.len() % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Gives an attacker something that takes time to go through: many clients, and a deal.
async fn furnished(at: &Installation, person: Person) -> Attacker {
    let client = crate::installation::client();
    let request = |method: Method, path: &str| {
        client.request(method, at.url(&format!("{}{path}", person.org))).header("authorization", &person.token)
    };
    let answer = async |request: RequestBuilder| {
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{text}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let rows: String = (0..20_000).map(|n| format!("client {n},notes of the client {n} in the city\n")).collect();
    let file = Part::bytes(format!("name,notes\n{rows}").into_bytes()).file_name("clients.csv");
    let form = Form::new().text("kind", "clients").part("file", file);
    answer(request(Method::POST, "imports/").multipart(form)).await;
    let page = answer(request(Method::GET, "clients/?page_size=1")).await;
    let new = json!({"title": "x", "client_id": page["results"][0]["id"]});
    let deal = answer(request(Method::POST, "deals/").json(&new)).await;
    Attacker { deal: format!("{}deals/{}/", person.org, deal["id"]), person }
}
