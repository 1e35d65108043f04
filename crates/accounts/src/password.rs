//! Passwords: which are too weak, and how they are kept.

use std::{num::NonZero, sync::Arc, thread::available_parallelism};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use guildhall_kernel as kernel;
use serde::Deserialize;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use crate::names;

/// The longest password taken, in bytes: more would only cost time.
const LONGEST: usize = 1024;
/// Fewer guesses than this and a password counts as common. By zxcvbn's count it lies above two
/// common words with a separator and a year, and below eight characters without any pattern.
const FEWEST_GUESSES: u64 = 30_000_000;

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

/// Hashes and checks passwords, as many at once as there are cores: more would share the same
/// cores, and each holds its memory.
#[derive(Clone)]
pub(crate) struct Hasher {
    argon2: Argon2<'static>,
    gate: Arc<Semaphore>,
    /// The hash of a password that nobody has, for people who do not exist.
    decoy: Arc<str>,
}

impl Hasher {
    pub(crate) fn new(cost: HashCost) -> kernel::Result<Self> {
        let params = cost.params().map_err(failed)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = argon2.hash_password(b"nobody has this one").map_err(failed)?.to_string();
        let cores = available_parallelism().map_or(1, NonZero::get);
        Ok(Self { argon2, gate: Arc::new(Semaphore::new(cores)), decoy: decoy.into() })
    }

    /// The hash to be kept, in PHC format.
    pub(crate) async fn hash(&self, password: &str) -> kernel::Result<String> {
        let argon2 = self.argon2.clone();
        let password = normalize(password);
        self.gated(move || Ok(argon2.hash_password(password.as_bytes()).map_err(failed)?.to_string())).await
    }

    /// Is it the right password? Without a hash to compare with it takes as long to say no.
    pub(crate) async fn matches(&self, password: &str, hash: Option<&str>) -> kernel::Result<bool> {
        if password.len() > LONGEST {
            return Ok(false);
        }
        let argon2 = self.argon2.clone();
        let password = normalize(password);
        let real = hash.is_some();
        let hash: Arc<str> = hash.map_or_else(|| self.decoy.clone(), Into::into);
        self.gated(move || Ok(argon2.verify_password(password.as_bytes(), &*hash).is_ok() && real)).await
    }

    /// Does work that keeps a core busy where it holds nobody up.
    pub(crate) async fn gated<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> kernel::Result<T> + Send + 'static,
    ) -> kernel::Result<T> {
        let permit = self.gate.clone().acquire_owned().await.map_err(kernel::Error::internal)?;
        let work = move || {
            let outcome = work();
            drop(permit); // held by the work and not by whoever waits for it, who may be gone
            outcome
        };
        tokio::task::spawn_blocking(work).await.map_err(kernel::Error::internal)?
    }
}

fn failed(error: impl std::fmt::Display) -> kernel::Error {
    kernel::Error::internal(error.to_string())
}

/// NFKC, so that a password typed on another keyboard is the same (NIST SP 800-63B-4 §3.1.1.2).
fn normalize(password: &str) -> String {
    password.nfkc().collect()
}

/// The longest password of all, judged before anything else is done with it.
pub(crate) fn too_long(password: &str) -> Option<String> {
    (password.len() > LONGEST).then(|| format!("Ensure this password has no more than {LONGEST} bytes."))
}

/// What is wrong with a new password, in words for people.
///
/// It has at least `min_length` characters, is not the name or the address, and is not common, by
/// zxcvbn's lists. No other rules: NIST SP 800-63B-4 advises against them.
pub(crate) fn weaknesses(password: &str, min_length: u32, username: &str, email: &str) -> Vec<String> {
    if let Some(fault) = too_long(password) {
        return vec![fault];
    }
    let mut faults = Vec::new();
    if password.chars().count() < min_length as usize {
        faults.push(format!("This password is too short. It must have at least {min_length} characters."));
    }
    let key = names::key(password);
    let local_part = email.split('@').next().unwrap_or_default();
    let own = [username, email, local_part].map(names::key);
    if own.iter().any(|own| own.chars().count() > 3 && key.contains(own.as_str()) || *own == key) {
        faults.push("This password is too similar to the username or the email address.".to_owned());
    }
    let inputs: Vec<&str> = own.iter().map(String::as_str).filter(|own| !own.is_empty()).collect();
    if zxcvbn::zxcvbn(password, &inputs).guesses() < FEWEST_GUESSES {
        faults.push("This password is too common.".to_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weak(password: &str) -> bool {
        !weaknesses(password, 8, "anna.miller", "annie@example.org").is_empty()
    }

    #[test]
    fn common_short_and_own_passwords_are_weak() {
        let long = "x9".repeat(600);
        for password in [
            "",
            "short1!",
            "password",
            "Password1",
            "your_password",
            "12345678",
            "qwertyuiop",
            "aaaaaaaaaaaa",
            "anna.miller",
            "ANNA.MILLER1",
            "annie-and-more",
            "annie@example.org",
            &long,
        ] {
            assert!(weak(password), "{password}");
        }
    }

    #[test]
    fn others_are_not_whatever_they_are_made_of() {
        let long = "correct horse battery staple ".repeat(30);
        for password in ["correct horse é", "Guild-seed-2026", "k7#pQz2m", "ключ от квартиры", long.trim()]
        {
            assert!(!weak(password), "{password}");
        }
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let hasher = Hasher::new(HashCost { memory_kib: 64, passes: 1, lanes: 1 }).unwrap();
        let hash = hasher.hash("ｃorrect horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert!(hasher.matches("correct horse", Some(&hash)).await.unwrap());
        assert!(!hasher.matches("correct house", Some(&hash)).await.unwrap());
        assert!(!hasher.matches("nobody has this one", None).await.unwrap());
        assert!(!hasher.matches("x", Some("!unusable")).await.unwrap());
    }
}
