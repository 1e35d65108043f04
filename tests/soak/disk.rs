//! Full and failing disks under load: acknowledged writes are stored, rejected ones are not.

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

/// How often the server is restarted.
const ROUNDS: u32 = 4;
/// How long faults are injected in each round.
const FAULT_TIME: Duration = Duration::from_secs(12);
/// Concurrent writers.
const WORKERS: usize = 8;

/// A reproducible random number generator (xorshift).
struct Random(u64);

impl Random {
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

/// The outcomes of all writes so far.
#[derive(Default)]
struct Outcomes {
    acknowledged: Mutex<BTreeSet<String>>,
    rejected: Mutex<BTreeSet<String>>,
    next: AtomicUsize,
}

async fn write(installation: Arc<Installation>, anna: Arc<Person>, outcomes: Arc<Outcomes>, stop: Arc<AtomicBool>) {
    let client = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    while !stop.load(Ordering::SeqCst) {
        let number = outcomes.next.fetch_add(1, Ordering::SeqCst);
        let name = format!("client {number}");
        let body = json!({"name": name, "notes": "x".repeat(number * 37 % 9000)});
        let request =
            client.post(installation.url(&format!("{}clients/", anna.org))).header("authorization", &anna.token);
        let Ok(response) = request.json(&body).send().await else { continue };
        match response.status().as_u16() {
            201 => drop(outcomes.acknowledged.lock().await.insert(name)),
            503 => {
                outcomes.rejected.lock().await.insert(name);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            status => panic!("{status}: {}", response.text().await.unwrap()),
        }
    }
}

/// The stored names, read with a separate connection.
async fn stored(database: &Path) -> BTreeSet<String> {
    let db = Database::connect(format!("sqlite://{}?mode=ro", database.display())).await.unwrap();
    let all = Statement::from_string(db.get_database_backend(), "SELECT name FROM deals_client");
    let rows = db.query_all_raw(all).await.unwrap();
    db.close().await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn check(database: &Path, outcomes: &Outcomes) {
    // Read the outcomes before the database, because writers may still be running.
    let acknowledged = outcomes.acknowledged.lock().await.clone();
    let stored = stored(database).await;
    let lost: Vec<&String> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged writes are lost: {lost:?}", lost.len(), acknowledged.len());
    let rejected = outcomes.rejected.lock().await;
    let unexpected: Vec<&String> = rejected.intersection(&stored).collect();
    assert!(
        unexpected.is_empty(),
        "{} of {} rejected writes are stored: {unexpected:?}",
        unexpected.len(),
        rejected.len()
    );
    eprintln!("{} acknowledged, {} rejected", acknowledged.len(), rejected.len());
}

async fn stop(server: &mut Child) {
    let signalled = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let start = Instant::now();
    loop {
        if let Some(status) = server.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(40), "the server does not stop");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A fault that can be injected and removed.
trait Fault {
    fn inject(&mut self, server: &Child, random: &mut Random);
    fn remove(&mut self, server: &Child);
}

async fn test_fault(installation: Installation, data: &Path, mut fault: impl Fault) {
    let installation = Arc::new(installation);
    let database = data.join("guildhall.db");
    let mut server = installation.serve().await;
    let anna = Arc::new(installation.sign_up("anna").await);
    let outcomes = Arc::new(Outcomes::default());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 1..=ROUNDS {
        let stop_writing = Arc::new(AtomicBool::new(false));
        let writer =
            |_| tokio::spawn(write(installation.clone(), anna.clone(), outcomes.clone(), stop_writing.clone()));
        let writers: Vec<JoinHandle<()>> = (0..WORKERS).map(writer).collect();
        let before = outcomes.rejected.lock().await.len();
        let start = Instant::now();
        while start.elapsed() < FAULT_TIME {
            random.wait(50, 400).await;
            fault.inject(&server, &mut random);
            random.wait(20, 500).await;
            fault.remove(&server);
        }
        assert!(outcomes.rejected.lock().await.len() > before, "the faults must have an effect");
        // `/readyz` reports the fault and the recovery.
        fault.inject(&server, &mut Random(1));
        let readiness = async || client().get(installation.url("/readyz")).send().await.unwrap().status().as_u16();
        wait_until("the server reports the fault", async || readiness().await == 503).await;
        fault.remove(&server);
        wait_until("the server recovers", async || readiness().await == 200).await;
        let acknowledged = outcomes.acknowledged.lock().await.len();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(outcomes.acknowledged.lock().await.len() > acknowledged, "writes succeed again");
        check(&database, &outcomes).await;
        // Every other round stops the server during the fault.
        if round % 2 == 0 {
            fault.inject(&server, &mut random);
        }
        stop_writing.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.await.unwrap();
        }
        stop(&mut server).await;
        fault.remove(&server);
        check(&database, &outcomes).await;
        installation.assert_healthy(&["disk"]);
        server = installation.serve().await;
        check(&database, &outcomes).await;
    }
    assert!(outcomes.acknowledged.lock().await.len() > 500, "there must be enough writes");
    stop(&mut server).await;
}

async fn wait_until(what: &str, condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A small file system that is filled by a large file.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Returns `None` if this process may not mount one.
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

impl Fault for SmallDisk {
    fn inject(&mut self, _: &Child, _: &mut Random) {
        let mut file = File::options().create(true).append(true).open(self.ballast()).unwrap();
        for size in [1 << 20, 4096] {
            let chunk = vec![0; size];
            while file.write(&chunk).is_ok_and(|written| written == chunk.len()) {}
        }
    }

    fn remove(&mut self, _: &Child) {
        let _ = std::fs::remove_file(self.ballast());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_1_a_full_disk_loses_no_acknowledged_writes() {
    let installation = Installation::new().await;
    if installation.is_on_postgres() {
        return;
    }
    let Some(disk) = SmallDisk::mount(installation.folder().join("data")) else {
        eprintln!("SKIPPED: full disk (this process may not mount a file system).");
        return;
    };
    let data = disk.0.clone();
    test_fault(installation, &data, disk).await;
}

/// A disk that fails beyond some file size (with `EFBIG`, which SQLite treats as an I/O error).
struct FailingDisk;

impl FailingDisk {
    fn limit(server: &Child, limit: &str) {
        let limit = format!("--fsize={limit}:unlimited");
        let status = Command::new("prlimit").args(["--pid", &server.id().to_string(), &limit]).status().unwrap();
        assert!(status.success());
    }
}

impl Fault for FailingDisk {
    fn inject(&mut self, server: &Child, random: &mut Random) {
        // The write-ahead log grows to four megabytes.
        Self::limit(server, &(random.below(6) * random.below(100) * 4096 + 4096).to_string());
    }

    fn remove(&mut self, server: &Child) {
        if Path::new(&format!("/proc/{}", server.id())).exists() {
            let _ = Command::new("prlimit").args(["--pid", &server.id().to_string(), "--fsize=unlimited"]).output();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_1_a_failing_disk_loses_no_acknowledged_writes() {
    let installation = Installation::new().await;
    if installation.is_on_postgres() {
        return;
    }
    let data = installation.folder().join("data");
    test_fault(installation.surviving_large_files(), &data, FailingDisk).await;
}
