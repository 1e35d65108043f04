//! How passwords are hashed and checked: so many at once, and so long.

use std::{
    collections::{HashMap, HashSet},
    num::NonZero,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::available_parallelism,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use guildhall_kernel::{self as kernel, Kind, background};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization;

use crate::{legacy::LegacyHash, password::LONGEST};

/// The memory that all hashes in work may take together, in MiB.
const MEMORY_MIB: u32 = 128;
/// How many may wait for their turn: on two cores about half a second at the default cost.
const LONGEST_QUEUE: usize = 32;
/// A refusal takes this much longer than the dearest check that there is.
const MARGIN: f64 = 1.25;
/// A refusal takes no longer than this on idle cores, and just as long until it has been measured.
const LONGEST_HOLD: Duration = Duration::from_secs(1);
/// No refusal is held back for longer than this, however busy the cores are.
const LONGEST_BUSY_HOLD: Duration = Duration::from_secs(8);

/// The cost of a password hash (argon2id). The default is OWASP's minimum.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct HashCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes that could be computed in parallel.
    pub lanes: u32,
}

impl Default for HashCost {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1 }
    }
}

impl HashCost {
    /// Why these numbers cannot be used, if they cannot.
    pub(crate) fn fault(self) -> Option<String> {
        self.params().err().map(|error| error.to_string())
    }

    fn params(self) -> Result<Params, argon2::Error> {
        Params::new(self.memory_kib, self.passes, self.lanes, None)
    }
}

/// What a check of a password found.
pub(crate) struct Checked {
    /// Is it the right one?
    pub(crate) right: bool,
    /// It is, but its hash is not of the kind that would be made now.
    pub(crate) outdated: bool,
    begun: Instant,
    /// How many times longer it took than it does on idle cores; at least once.
    slowdown: f64,
    /// Kept until whoever asked has drawn the consequences: those behind must see what failed.
    _turn: Option<Turn>,
}

/// Hashes and checks passwords: as many at once as there are cores, since more would share the same
/// cores, and no more than fit into a budget of memory. A few may wait; whoever comes when the
/// queue is full is turned away at once, so that a flood of sign-ins cannot pile up.
#[derive(Clone)]
pub(crate) struct Hasher(Arc<Inner>);

struct Inner {
    argon2: Argon2<'static>,
    cost: HashCost,
    cores: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// The hash of a password that nobody has, for people who do not exist.
    decoy: String,
    /// How long a refusal takes from when its turn came, in microseconds.
    hold: AtomicU64,
    /// How long checks take on idle cores, by their price.
    idle: RwLock<HashMap<String, Duration>>,
}

/// A hash that is kept.
enum Kept {
    Native(String),
    Legacy(LegacyHash),
}

impl Kept {
    fn parse(hash: &str) -> Option<Self> {
        if hash.starts_with("$argon2") {
            return Some(Self::Native(hash.to_owned()));
        }
        LegacyHash::parse(hash).map(Self::Legacy)
    }

    /// The part of a native hash that tells what it costs: `m=19456,t=2,p=1`.
    fn cost(phc: &str) -> &str {
        phc.split('$').nth(3).unwrap_or_default()
    }

    /// The memory that checking it takes, in KiB.
    fn memory_kib(&self) -> u32 {
        match self {
            Self::Native(phc) => {
                let memory = Self::cost(phc).split(',').find_map(|part| part.strip_prefix("m=")?.parse().ok());
                memory.unwrap_or(MEMORY_MIB * 1024)
            }
            Self::Legacy(legacy) => legacy.memory_kib(),
        }
    }

    /// What decides how long checking it takes.
    fn price(&self) -> String {
        match self {
            Self::Native(phc) => Self::cost(phc).to_owned(),
            Self::Legacy(legacy) => format!("{:?}", legacy.price()),
        }
    }
}

/// Somebody in the queue.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A core and some memory, for one piece of work.
struct Turn {
    _memory: OwnedSemaphorePermit,
    _core: OwnedSemaphorePermit,
}

impl Turn {
    /// Does the work, and gives the turn back. It is held by the work and not by whoever waits for it,
    /// who may be gone.
    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> kernel::Result<T> + Send + 'static,
    ) -> kernel::Result<(T, Self)> {
        background::run_blocking(async move { work().map(|outcome| (outcome, self)) }).await?
    }
}

impl Hasher {
    pub(crate) fn new(cost: HashCost) -> kernel::Result<Self> {
        let params = cost.params().map_err(failed)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = argon2.hash_password(b"nobody has this one").map_err(failed)?.to_string();
        let cores = available_parallelism().map_or(1, NonZero::get);
        Ok(Self(Arc::new(Inner {
            argon2,
            cost,
            cores: Arc::new(Semaphore::new(cores)),
            memory: Arc::new(Semaphore::new(MEMORY_MIB as usize)),
            waiting: AtomicUsize::new(0),
            decoy,
            hold: AtomicU64::new(micros(LONGEST_HOLD)),
            idle: RwLock::default(),
        })))
    }

    /// The hash to be kept, in PHC format.
    pub(crate) async fn hash(&self, password: &str) -> kernel::Result<String> {
        let argon2 = self.0.argon2.clone();
        let password = normalize(password);
        let work = move || Ok(argon2.hash_password(password.as_bytes()).map_err(failed)?.to_string());
        self.gated(self.0.cost.memory_kib, work).await
    }

    /// Is it the right password? Without a hash that could be compared with, a comparison is made all
    /// the same. A refusal that follows from it is to be held back with [`hold`](Self::hold).
    ///
    /// `admit` is asked once the turn has come, when the failures of those who were in front have been
    /// counted: so many who ask at once are no way round a throttle.
    pub(crate) async fn check<E: From<kernel::Error>>(
        &self,
        password: &str,
        hash: Option<&str>,
        admit: impl Future<Output = Result<(), E>>,
    ) -> Result<Checked, E> {
        if password.len() > LONGEST {
            return Ok(Checked { right: false, outdated: false, begun: Instant::now(), slowdown: 1.0, _turn: None });
        }
        let kept = hash.and_then(Kept::parse);
        let real = kept.is_some();
        let kept = kept.unwrap_or_else(|| Kept::Native(self.0.decoy.clone()));
        let memory_kib = kept.memory_kib();
        let (hasher, password) = (self.clone(), password.to_owned());
        let work = move || {
            let begun = Instant::now();
            let right = hasher.is(&kept, &password) && real;
            let slowdown = hasher.slowdown(&kept, begun.elapsed());
            Ok((right, right && !hasher.is_current(&kept), begun, slowdown))
        };
        let turn = self.turn(memory_kib).await?;
        admit.await?;
        let ((right, outdated, begun, slowdown), turn) = turn.run(work).await?;
        Ok(Checked { right, outdated, begun, slowdown, _turn: Some(turn) })
    }

    /// Waits until a refusal has taken as long as every refusal does, so that the time tells nothing of
    /// why. It is counted from when the turn came, not from when the request did, and costs no core. On busy cores
    /// it is longer by as much as the check was, since the dearest one would have been, too.
    pub(crate) async fn hold(&self, checked: Checked) {
        let hold = Duration::from_micros(self.0.hold.load(Ordering::Relaxed)).mul_f64(checked.slowdown);
        let until = checked.begun + hold.min(LONGEST_BUSY_HOLD);
        drop(checked);
        tokio::time::sleep_until(until.into()).await;
    }

    /// Measures how long the dearest of the kept hashes takes to check: that, and a little, is how long
    /// each refusal takes from now on.
    pub(crate) async fn calibrate(&self, hashes: impl IntoIterator<Item = String>) -> kernel::Result<Duration> {
        let mut prices = HashSet::new();
        let decoy = std::iter::once(self.0.decoy.clone());
        let kept = decoy.chain(hashes).filter_map(|hash| Kept::parse(&hash));
        // One of each kind: hashes that are equal in price take equally long.
        let kinds: Vec<Kept> = kept.filter(|kept| prices.insert(kept.price())).collect();
        let mut longest = Duration::ZERO;
        for kept in kinds {
            let (hasher, price) = (self.clone(), kept.price());
            let work = move || Ok(time(|| hasher.is(&kept, "a password")));
            let took = self.gated(MEMORY_MIB * 1024, work).await?;
            self.0.idle.write().unwrap_or_else(PoisonError::into_inner).insert(price, took);
            longest = longest.max(took);
        }
        let hold = longest.mul_f64(MARGIN).min(LONGEST_HOLD);
        self.0.hold.store(micros(hold), Ordering::Relaxed);
        Ok(hold)
    }

    /// Does work that keeps a core busy, and so much memory, where it holds nobody up.
    ///
    /// # Errors
    /// 503 `auth_busy` where too many wait already.
    pub(crate) async fn gated<T: Send + 'static>(
        &self,
        memory_kib: u32,
        work: impl FnOnce() -> kernel::Result<T> + Send + 'static,
    ) -> kernel::Result<T> {
        Ok(self.turn(memory_kib).await?.run(work).await?.0)
    }

    /// Waits for a core and so much memory.
    async fn turn(&self, memory_kib: u32) -> kernel::Result<Turn> {
        let inner = &*self.0;
        let waiting = Waiting(&inner.waiting);
        if inner.waiting.fetch_add(1, Ordering::AcqRel) >= LONGEST_QUEUE {
            return Err(busy());
        }
        let mib = memory_kib.div_ceil(1024).clamp(1, MEMORY_MIB);
        let memory = inner.memory.clone().acquire_many_owned(mib).await.map_err(kernel::Error::internal)?;
        let core = inner.cores.clone().acquire_owned().await.map_err(kernel::Error::internal)?;
        drop(waiting);
        Ok(Turn { _memory: memory, _core: core })
    }

    /// How many times longer a check took than it does on idle cores; at least once.
    fn slowdown(&self, kept: &Kept, took: Duration) -> f64 {
        let idle = self.0.idle.read().unwrap_or_else(PoisonError::into_inner).get(&kept.price()).copied();
        idle.filter(|idle| !idle.is_zero()).map_or(1.0, |idle| took.div_duration_f64(idle).max(1.0))
    }

    /// Is it the hash of this password?
    fn is(&self, kept: &Kept, password: &str) -> bool {
        match kept {
            Kept::Native(phc) => self.0.argon2.verify_password(normalize(password).as_bytes(), phc.as_str()).is_ok(),
            // As it was typed, which is what Django hashes.
            Kept::Legacy(legacy) => legacy.matches(password.as_bytes()),
        }
    }

    /// Was it made here, at the cost that is set now?
    fn is_current(&self, kept: &Kept) -> bool {
        let HashCost { memory_kib, passes, lanes } = self.0.cost;
        let beginning = format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}$");
        matches!(kept, Kept::Native(phc) if phc.starts_with(&beginning))
    }
}

/// 503 for whoever comes when the queue is full.
pub(crate) fn busy() -> kernel::Error {
    let busy = kernel::Error::new(Kind::Unavailable, "auth_busy", "Too many people are signing in just now.");
    busy.retry_after(Duration::from_secs(1))
}

fn time(work: impl FnOnce() -> bool) -> Duration {
    let begun = Instant::now();
    std::hint::black_box(work());
    begun.elapsed()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn failed(error: impl std::fmt::Display) -> kernel::Error {
    kernel::Error::internal(error.to_string())
}

/// NFKC, so that a password typed on another keyboard is the same (NIST SP 800-63B-4 §3.1.1.2).
fn normalize(password: &str) -> String {
    password.nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher() -> Hasher {
        Hasher::new(HashCost { memory_kib: 64, passes: 1, lanes: 1 }).unwrap()
    }

    async fn check(hasher: &Hasher, password: &str, hash: Option<&str>) -> kernel::Result<Checked> {
        hasher.check(password, hash, async { Ok(()) }).await
    }

    async fn right(hasher: &Hasher, password: &str, hash: Option<&str>) -> bool {
        check(hasher, password, hash).await.unwrap().right
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let hasher = hasher();
        let hash = hasher.hash("ｃorrect horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert!(right(&hasher, "correct horse", Some(&hash)).await);
        assert!(!right(&hasher, "correct house", Some(&hash)).await);
        assert!(!right(&hasher, "nobody has this one", None).await);
        assert!(!right(&hasher, "x", Some("!unusable")).await);
        assert!(!right(&hasher, &"x".repeat(5000), Some(&hash)).await);
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_right_and_outdated() {
        let (old, new) = (hasher(), Hasher::new(HashCost { memory_kib: 128, passes: 1, lanes: 1 }).unwrap());
        let hash = old.hash("correct horse").await.unwrap();
        assert!(!check(&old, "correct horse", Some(&hash)).await.unwrap().outdated);
        let checked = check(&new, "correct horse", Some(&hash)).await.unwrap();
        assert!(checked.right && checked.outdated);
        assert!(!check(&new, "wrong", Some(&hash)).await.unwrap().outdated);
        let django = "pbkdf2_sha256$1$salt$UxR0ZpP9LObaAGFUkWNVQ9sHHnuk1jYFNyOjrHiUFXM=";
        assert!(LegacyHash::parse(django).is_some());
        assert!(!check(&old, "x", Some(django)).await.unwrap().right);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn beyond_the_queue_people_are_turned_away_at_once() {
        let hasher = hasher();
        let cores = hasher.0.cores.available_permits();
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        let busy = |wait: Arc<std::sync::Mutex<std::sync::mpsc::Receiver<()>>>| {
            let hasher = hasher.clone();
            tokio::spawn(async move {
                let work = move || {
                    let _ = wait.lock().map(|wait| wait.recv());
                    Ok(())
                };
                hasher.gated(1, work).await
            })
        };
        let tasks: Vec<_> = (0..cores + LONGEST_QUEUE).map(|_| busy(wait.clone())).collect();
        while hasher.0.waiting.load(Ordering::SeqCst) < LONGEST_QUEUE {
            tokio::task::yield_now().await;
        }
        let refused = check(&hasher, "x", None).await.err().unwrap();
        assert_eq!((refused.kind(), refused.code()), (Kind::Unavailable, "auth_busy"));
        drop(release);
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert!(check(&hasher, "x", None).await.is_ok());
        assert_eq!(hasher.0.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_dear_in_memory_runs_alone() {
        let hasher = hasher();
        let held = hasher.0.memory.clone().acquire_many_owned(MEMORY_MIB - 10).await.unwrap();
        let dear = tokio::time::timeout(Duration::from_millis(50), hasher.gated(100 * 1024, || Ok(()))).await;
        assert!(dear.is_err(), "it does not fit beside the rest");
        drop(held);
        hasher.gated(300 * 1024, || Ok(())).await.unwrap();
    }

    #[tokio::test]
    async fn fault_16_refusals_on_busy_cores_take_as_long_as_the_dearest_check_would() {
        let hasher = hasher();
        let django = "pbkdf2_sha256$300000$xYk4ZS051A2mNOqTXWx8an$KZFnM8SRKMVgF09fCFE2/EzbESYvzASxTbsfRYUvJ8M=";
        let hold = hasher.calibrate([django.to_owned()]).await.unwrap();
        let native = Kept::Native(hasher.0.decoy.clone());
        let legacy = Kept::parse(django).unwrap();
        let idle = |kept: &Kept| hasher.0.idle.read().unwrap()[&kept.price()];
        // Six times slower: whatever the hash is, the refusal takes six times as long.
        for kept in [&native, &legacy] {
            let slowdown = hasher.slowdown(kept, idle(kept) * 6);
            assert!((5.9..6.1).contains(&slowdown), "{slowdown}");
        }
        assert!((hasher.slowdown(&native, idle(&native) / 2) - 1.0).abs() < f64::EPSILON);
        let begun = Instant::now();
        hasher.hold(Checked { right: false, outdated: false, begun, slowdown: 2.0, _turn: None }).await;
        assert!(begun.elapsed() >= hold * 2);
    }

    #[tokio::test]
    async fn refusals_take_as_long_as_the_dearest_check() {
        let hasher = hasher();
        assert_eq!(hasher.0.hold.load(Ordering::SeqCst), micros(LONGEST_HOLD), "until it is known");
        let cheap = hasher.calibrate(Vec::new()).await.unwrap();
        let django = "pbkdf2_sha256$300000$xYk4ZS051A2mNOqTXWx8an$KZFnM8SRKMVgF09fCFE2/EzbESYvzASxTbsfRYUvJ8M=";
        let dear = hasher.calibrate([django.to_owned(), "!unusable".to_owned()]).await.unwrap();
        assert!(dear > cheap && dear <= LONGEST_HOLD);
        let begun = Instant::now();
        let checked = check(&hasher, "x", None).await.unwrap();
        hasher.hold(checked).await;
        assert!(begun.elapsed() >= dear);
        let dearer = Hasher::new(HashCost { memory_kib: 19_456, passes: 8, lanes: 1 }).unwrap();
        let of_ours = hasher.calibrate([dearer.hash("x").await.unwrap()]).await.unwrap();
        assert!(of_ours > cheap, "ours of another cost count too");
    }
}
