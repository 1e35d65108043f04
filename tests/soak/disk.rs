//! A disk that fills and empties, and one that fails, while many write: what was acknowledged is there, and what was
//! refused is not.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Client;
use sea_orm::{ConnectionTrait, Database, Statement};
use serde_json::json;
use tokio::{sync::Mutex, task::JoinHandle};

use crate::installation::{Installation, Person, client};

/// How often the server is stopped and started again.
const ROUNDS: u32 = 4;
/// How long there is trouble in each of them.
const TROUBLED: Duration = Duration::from_secs(12);
/// How many write at once.
const WORKERS: usize = 8;

/// Numbers that are different and the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    async fn wait(&mut self, at_least: u64, most: u64) {
        tokio::time::sleep(Duration::from_millis(at_least + self.below(most - at_least))).await;
    }
}

/// What was answered so far.
#[derive(Default)]
struct Answers {
    acknowledged: Mutex<BTreeSet<String>>,
    refused: Mutex<BTreeSet<String>>,
    next: AtomicUsize,
}

async fn write(at: Arc<Installation>, anna: Arc<Person>, answers: Arc<Answers>, stop: Arc<AtomicBool>) {
    let client = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    while !stop.load(Ordering::SeqCst) {
        let number = answers.next.fetch_add(1, Ordering::SeqCst);
        let name = format!("client {number}");
        let body = json!({"name": name, "notes": "x".repeat(number * 37 % 9000)});
        let request = client.post(at.url(&format!("{}clients/", anna.org))).header("authorization", &anna.token);
        let Ok(answer) = request.json(&body).send().await else { continue };
        match answer.status().as_u16() {
            201 => drop(answers.acknowledged.lock().await.insert(name)),
            503 => {
                answers.refused.lock().await.insert(name);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            status => panic!("{status}: {}", answer.text().await.unwrap()),
        }
    }
}

/// The names that a connection of its own sees.
async fn stored(database: &Path) -> BTreeSet<String> {
    let db = Database::connect(format!("sqlite://{}?mode=ro", database.display())).await.unwrap();
    let all = Statement::from_string(db.get_database_backend(), "SELECT name FROM deals_client");
    let rows = db.query_all_raw(all).await.unwrap();
    db.close().await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn check(database: &Path, answers: &Answers) {
    // First what was answered, for others may be writing.
    let acknowledged = answers.acknowledged.lock().await.clone();
    let stored = stored(database).await;
    let lost: Vec<&String> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "{} of {} were acknowledged and are gone: {lost:?}", lost.len(), acknowledged.len());
    let refused = answers.refused.lock().await;
    let kept: Vec<&String> = refused.intersection(&stored).collect();
    assert!(kept.is_empty(), "{} of {} were refused and are there: {kept:?}", kept.len(), refused.len());
    eprintln!("{} acknowledged, {} refused", acknowledged.len(), refused.len());
}

async fn stop(server: &mut Child) {
    let told = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    assert!(told.success());
    let begun = Instant::now();
    loop {
        if let Some(status) = server.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "the server does not stop");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What is done to the server, and taken back.
trait Trouble {
    fn begin(&mut self, server: &Child, numbers: &mut Numbers);
    fn end(&mut self, server: &Child);
}

async fn endure(at: Installation, data: &Path, mut trouble: impl Trouble) {
    let at = Arc::new(at);
    let database = data.join("guildhall.db");
    let mut server = at.serve().await;
    let anna = Arc::new(at.newcomer("anna").await);
    let answers = Arc::new(Answers::default());
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for round in 1..=ROUNDS {
        let stop_writing = Arc::new(AtomicBool::new(false));
        let writer = |_| tokio::spawn(write(at.clone(), anna.clone(), answers.clone(), stop_writing.clone()));
        let writers: Vec<JoinHandle<()>> = (0..WORKERS).map(writer).collect();
        let before = answers.refused.lock().await.len();
        let begun = Instant::now();
        while begun.elapsed() < TROUBLED {
            numbers.wait(50, 400).await;
            trouble.begin(&server, &mut numbers);
            numbers.wait(20, 500).await;
            trouble.end(&server);
        }
        assert!(answers.refused.lock().await.len() > before, "there was trouble");
        // It is noticed while it lasts, and over when it is over.
        trouble.begin(&server, &mut Numbers(1));
        let noticed = async || client().get(at.url("/readyz")).send().await.unwrap().status().as_u16();
        wait_until("the server notices", async || noticed().await == 503).await;
        trouble.end(&server);
        wait_until("the server takes writes again", async || noticed().await == 200).await;
        let acknowledged = answers.acknowledged.lock().await.len();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(answers.acknowledged.lock().await.len() > acknowledged, "writes are taken again");
        check(&database, &answers).await;
        // Every other time it is stopped while the trouble lasts.
        if round % 2 == 0 {
            trouble.begin(&server, &mut numbers);
        }
        stop_writing.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.await.unwrap();
        }
        stop(&mut server).await;
        trouble.end(&server);
        check(&database, &answers).await;
        at.assert_sound(&["disk"]);
        server = at.serve().await;
        check(&database, &answers).await;
    }
    assert!(answers.acknowledged.lock().await.len() > 500, "there was something to lose");
    stop(&mut server).await;
}

async fn wait_until(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A small disk, which a large file fills.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this process may not mount one.
    fn mount(path: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=384m,mode=700", "tmpfs"]).arg(&path);
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(path))
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Trouble for SmallDisk {
    fn begin(&mut self, _: &Child, _: &mut Numbers) {
        let mut file = File::options().create(true).append(true).open(self.ballast()).unwrap();
        for piece in [1 << 20, 4096] {
            let piece = vec![0; piece];
            while file.write(&piece).is_ok_and(|written| written == piece.len()) {}
        }
    }

    fn end(&mut self, _: &Child) {
        let _ = std::fs::remove_file(self.ballast());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_1_a_disk_that_fills_and_empties_loses_nothing_that_was_acknowledged() {
    let at = Installation::new().await;
    if at.is_on_postgres() {
        return;
    }
    let Some(disk) = SmallDisk::mount(at.folder().join("data")) else {
        eprintln!("NOT COVERED: a full disk, for this process may not mount one.");
        return;
    };
    let data = disk.0.clone();
    endure(at, &data, disk).await;
}

/// A disk that gives errors (`EFBIG`, which SQLite takes for a fault of the disk) beyond some place in a file.
struct FailingDisk;

impl FailingDisk {
    fn limit(server: &Child, limit: &str) {
        let limit = format!("--fsize={limit}:unlimited");
        let limited = Command::new("prlimit").args(["--pid", &server.id().to_string(), &limit]).status().unwrap();
        assert!(limited.success());
    }
}

impl Trouble for FailingDisk {
    fn begin(&mut self, server: &Child, numbers: &mut Numbers) {
        // The log of the database is up to four megabytes.
        Self::limit(server, &(numbers.below(6) * numbers.below(100) * 4096 + 4096).to_string());
    }

    fn end(&mut self, server: &Child) {
        if Path::new(&format!("/proc/{}", server.id())).exists() {
            let _ = Command::new("prlimit").args(["--pid", &server.id().to_string(), "--fsize=unlimited"]).output();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_1_a_disk_that_fails_loses_nothing_that_was_acknowledged() {
    let at = Installation::new().await;
    if at.is_on_postgres() {
        return;
    }
    let data = at.folder().join("data");
    endure(at.surviving_large_files(), &data, FailingDisk).await;
}
