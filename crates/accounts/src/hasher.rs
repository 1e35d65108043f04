//! Password hashing and verification, with limits on concurrency, memory and timing differences.

#[cfg(feature = "legacy-hashes")]
mod legacy;
mod queue;
mod stored;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use guildhall_kernel as kernel;
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use crate::password::MAX_BYTES;
use queue::{MEMORY_MIB, Permit, Queue};
use stored::StoredHash;

pub(crate) use queue::busy;

/// A rejection takes this many times as long as the most expensive check.
const MARGIN: f64 = 1.25;
/// The maximum duration of a rejection on idle cores, and its duration until the hasher is calibrated.
const MAX_REJECTION_TIME: Duration = Duration::from_secs(1);
/// The maximum duration of a rejection on busy cores.
const MAX_BUSY_REJECTION_TIME: Duration = Duration::from_secs(8);

/// The cost of a password hash (argon2id). The default is OWASP's minimum.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct HashCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Degree of parallelism.
    pub lanes: u32,
}

impl Default for HashCost {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1 }
    }
}

impl HashCost {
    /// The error message if these parameters are invalid.
    pub(crate) fn error(self) -> Option<String> {
        self.params().err().map(|error| error.to_string())
    }

    fn params(self) -> Result<Params, argon2::Error> {
        Params::new(self.memory_kib, self.passes, self.lanes, None)
    }
}

/// The result of a password check.
pub(crate) struct PasswordCheck {
    pub(crate) is_correct: bool,
    /// The password is correct, but its hash should be replaced by one with the current parameters.
    pub(crate) outdated: bool,
    started: Instant,
    /// How many times longer the check took than on idle cores; at least 1.
    slowdown: f64,
    /// Held until the caller has recorded the result: queued attempts must see earlier failures.
    _permit: Option<Permit>,
}

/// Hashes and checks passwords in a queue.
#[derive(Clone)]
pub(crate) struct Hasher(Arc<Inner>);

struct Inner {
    argon2: Argon2<'static>,
    cost: HashCost,
    queue: Queue,
    /// A hash that is checked for users who do not exist, so that this takes as long.
    decoy: String,
    /// The duration of a rejection from when its permit was acquired, in microseconds.
    rejection_time: AtomicU64,
    /// How long checks take on idle cores, by cost.
    idle_times: RwLock<HashMap<String, Duration>>,
}

impl Hasher {
    pub(crate) fn new(cost: HashCost) -> kernel::Result<Self> {
        let params = cost.params().map_err(internal)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = argon2.hash_password(b"nobody has this one").map_err(internal)?.to_string();
        Ok(Self(Arc::new(Inner {
            argon2,
            cost,
            queue: Queue::new(),
            decoy,
            rejection_time: AtomicU64::new(micros(MAX_REJECTION_TIME)),
            idle_times: RwLock::default(),
        })))
    }

    /// Hashes a password; the result is in PHC format.
    pub(crate) async fn hash(&self, password: &str) -> kernel::Result<String> {
        let argon2 = self.0.argon2.clone();
        let password = normalize(password);
        let work = move || Ok(argon2.hash_password(password.as_bytes()).map_err(internal)?.to_string());
        self.run(self.0.cost.memory_kib, work).await
    }

    /// Checks a password against a hash. Without a usable hash, the decoy is checked instead. A rejection
    /// must be delayed with [`delay_rejection`](Self::delay_rejection).
    ///
    /// `precondition` is awaited after the queue, when the failures of earlier requests have been counted:
    /// parallel requests cannot bypass a throttle.
    pub(crate) async fn check<E: From<kernel::Error>>(
        &self,
        password: &str,
        hash: Option<&str>,
        precondition: impl Future<Output = Result<(), E>>,
    ) -> Result<PasswordCheck, E> {
        if password.len() > MAX_BYTES {
            let started = Instant::now();
            return Ok(PasswordCheck { is_correct: false, outdated: false, started, slowdown: 1.0, _permit: None });
        }
        let stored = hash.and_then(StoredHash::parse);
        let is_usable = stored.is_some();
        let stored = stored.unwrap_or_else(|| StoredHash::Native(self.0.decoy.clone()));
        let memory_kib = stored.memory_kib();
        let (hasher, password) = (self.clone(), password.to_owned());
        let work = move || {
            let started = Instant::now();
            let is_correct = stored.matches(&hasher.0.argon2, &password) && is_usable;
            let slowdown = hasher.slowdown(&stored, started.elapsed());
            Ok((is_correct, is_correct && !hasher.is_current(&stored), started, slowdown))
        };
        let permit = self.0.queue.acquire(memory_kib).await?;
        precondition.await?;
        let ((is_correct, outdated, started, slowdown), permit) = permit.run(work).await?;
        Ok(PasswordCheck { is_correct, outdated, started, slowdown, _permit: Some(permit) })
    }

    /// Waits until the rejection has taken as long as every rejection, so that its timing reveals nothing
    /// about the reason. The time counts from when the permit was acquired and occupies no core. On busy
    /// cores it is extended by the slowdown of the check, which the most expensive check would also have had.
    pub(crate) async fn delay_rejection(&self, check: PasswordCheck) {
        let delay = Duration::from_micros(self.0.rejection_time.load(Ordering::Relaxed)).mul_f64(check.slowdown);
        let until = check.started + delay.min(MAX_BUSY_REJECTION_TIME);
        drop(check);
        tokio::time::sleep_until(until.into()).await;
    }

    /// Measures how long the most expensive of the hashes takes to check. From then on each rejection takes
    /// as long, plus a margin. Returns that duration.
    pub(crate) async fn calibrate(&self, hashes: impl IntoIterator<Item = String>) -> kernel::Result<Duration> {
        let mut seen = HashSet::new();
        let decoy = std::iter::once(self.0.decoy.clone());
        let stored = decoy.chain(hashes).filter_map(|hash| StoredHash::parse(&hash));
        // One hash per cost is enough: hashes of equal cost take equally long.
        let samples: Vec<StoredHash> = stored.filter(|hash| seen.insert(hash.cost())).collect();
        let mut longest = Duration::ZERO;
        for sample in samples {
            let (hasher, cost) = (self.clone(), sample.cost());
            let work = move || Ok(time(|| sample.matches(&hasher.0.argon2, "a password")));
            let elapsed = self.run(MEMORY_MIB * 1024, work).await?;
            self.0.idle_times.write().unwrap_or_else(PoisonError::into_inner).insert(cost, elapsed);
            longest = longest.max(elapsed);
        }
        let rejection_time = longest.mul_f64(MARGIN).min(MAX_REJECTION_TIME);
        self.0.rejection_time.store(micros(rejection_time), Ordering::Relaxed);
        Ok(rejection_time)
    }

    /// Runs CPU-intensive work on a blocking thread, within the limits on cores and memory.
    ///
    /// # Errors
    /// 503 `auth_busy` if the queue is full.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        memory_kib: u32,
        work: impl FnOnce() -> kernel::Result<T> + Send + 'static,
    ) -> kernel::Result<T> {
        self.0.queue.run(memory_kib, work).await
    }

    /// How many times longer a check took than on idle cores; at least 1.
    fn slowdown(&self, stored: &StoredHash, elapsed: Duration) -> f64 {
        let idle = self.0.idle_times.read().unwrap_or_else(PoisonError::into_inner).get(&stored.cost()).copied();
        idle.filter(|idle| !idle.is_zero()).map_or(1.0, |idle| elapsed.div_duration_f64(idle).max(1.0))
    }

    /// Whether the hash has the algorithm and cost that new hashes get.
    fn is_current(&self, stored: &StoredHash) -> bool {
        let HashCost { memory_kib, passes, lanes } = self.0.cost;
        let prefix = format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}$");
        stored.starts_with(&prefix)
    }
}

fn time(work: impl FnOnce() -> bool) -> Duration {
    let started = Instant::now();
    std::hint::black_box(work());
    started.elapsed()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn internal(error: impl std::fmt::Display) -> kernel::Error {
    kernel::Error::internal(error.to_string())
}

/// NFKC, so that a password is the same on different keyboards (NIST SP 800-63B-4 §3.1.1.2).
fn normalize(password: &str) -> String {
    password.nfkc().collect()
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::Kind;

    use super::{queue::CAPACITY, *};

    fn hasher() -> Hasher {
        Hasher::new(HashCost { memory_kib: 64, passes: 1, lanes: 1 }).unwrap()
    }

    async fn check(hasher: &Hasher, password: &str, hash: Option<&str>) -> kernel::Result<PasswordCheck> {
        hasher.check(password, hash, async { Ok(()) }).await
    }

    async fn is_correct(hasher: &Hasher, password: &str, hash: Option<&str>) -> bool {
        check(hasher, password, hash).await.unwrap().is_correct
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let hasher = hasher();
        let hash = hasher.hash("ｃorrect horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert!(is_correct(&hasher, "correct horse", Some(&hash)).await);
        assert!(!is_correct(&hasher, "correct house", Some(&hash)).await);
        assert!(!is_correct(&hasher, "nobody has this one", None).await);
        assert!(!is_correct(&hasher, "x", Some("!unusable")).await);
        assert!(!is_correct(&hasher, &"x".repeat(5000), Some(&hash)).await);
    }

    #[tokio::test]
    async fn a_matching_hash_of_another_cost_is_outdated() {
        let (old, new) = (hasher(), Hasher::new(HashCost { memory_kib: 128, passes: 1, lanes: 1 }).unwrap());
        let hash = old.hash("correct horse").await.unwrap();
        assert!(!check(&old, "correct horse", Some(&hash)).await.unwrap().outdated);
        let result = check(&new, "correct horse", Some(&hash)).await.unwrap();
        assert!(result.is_correct && result.outdated);
        assert!(!check(&new, "wrong", Some(&hash)).await.unwrap().outdated);
        let django = "pbkdf2_sha256$1$salt$UxR0ZpP9LObaAGFUkWNVQ9sHHnuk1jYFNyOjrHiUFXM=";
        assert!(StoredHash::parse(django).is_some());
        assert!(!check(&old, "x", Some(django)).await.unwrap().is_correct);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_full_queue_rejects_requests_immediately() {
        let hasher = hasher();
        let cores = hasher.0.queue.cores.available_permits();
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        let occupy = |wait: Arc<std::sync::Mutex<std::sync::mpsc::Receiver<()>>>| {
            let hasher = hasher.clone();
            tokio::spawn(async move {
                let work = move || {
                    let _ = wait.lock().map(|wait| wait.recv());
                    Ok(())
                };
                hasher.run(1, work).await
            })
        };
        let tasks: Vec<_> = (0..cores + CAPACITY).map(|_| occupy(wait.clone())).collect();
        while hasher.0.queue.waiting.load(Ordering::SeqCst) < CAPACITY {
            tokio::task::yield_now().await;
        }
        let error = check(&hasher, "x", None).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (Kind::Unavailable, "auth_busy"));
        drop(release);
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert!(check(&hasher, "x", None).await.is_ok());
        assert_eq!(hasher.0.queue.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn fault_16_rejections_on_busy_cores_take_as_long_as_the_most_expensive_check() {
        let hasher = hasher();
        let django = "pbkdf2_sha256$300000$xYk4ZS051A2mNOqTXWx8an$KZFnM8SRKMVgF09fCFE2/EzbESYvzASxTbsfRYUvJ8M=";
        let rejection_time = hasher.calibrate([django.to_owned()]).await.unwrap();
        let native = StoredHash::Native(hasher.0.decoy.clone());
        let legacy = StoredHash::parse(django).unwrap();
        let idle = |hash: &StoredHash| hasher.0.idle_times.read().unwrap()[&hash.cost()];
        // If a check is six times slower, so is the rejection, whatever the hash.
        for hash in [&native, &legacy] {
            let slowdown = hasher.slowdown(hash, idle(hash) * 6);
            assert!((5.9..6.1).contains(&slowdown), "{slowdown}");
        }
        assert!((hasher.slowdown(&native, idle(&native) / 2) - 1.0).abs() < f64::EPSILON);
        let started = Instant::now();
        let check = PasswordCheck { is_correct: false, outdated: false, started, slowdown: 2.0, _permit: None };
        hasher.delay_rejection(check).await;
        assert!(started.elapsed() >= rejection_time * 2);
    }

    #[tokio::test]
    async fn rejections_take_as_long_as_the_most_expensive_check() {
        let hasher = hasher();
        let initial = hasher.0.rejection_time.load(Ordering::SeqCst);
        assert_eq!(initial, micros(MAX_REJECTION_TIME), "not calibrated yet");
        let cheap = hasher.calibrate(Vec::new()).await.unwrap();
        let django = "pbkdf2_sha256$300000$xYk4ZS051A2mNOqTXWx8an$KZFnM8SRKMVgF09fCFE2/EzbESYvzASxTbsfRYUvJ8M=";
        let expensive = hasher.calibrate([django.to_owned(), "!unusable".to_owned()]).await.unwrap();
        assert!(expensive > cheap && expensive <= MAX_REJECTION_TIME);
        let started = Instant::now();
        let result = check(&hasher, "x", None).await.unwrap();
        hasher.delay_rejection(result).await;
        assert!(started.elapsed() >= expensive);
        let costly = Hasher::new(HashCost { memory_kib: 19_456, passes: 8, lanes: 1 }).unwrap();
        let native = hasher.calibrate([costly.hash("x").await.unwrap()]).await.unwrap();
        assert!(native > cheap, "native hashes of another cost count too");
    }
}
