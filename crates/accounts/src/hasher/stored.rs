use argon2::{Argon2, PasswordVerifier};

#[cfg(feature = "legacy-hashes")]
use super::legacy::LegacyHash;
use super::{normalize, queue::MEMORY_MIB};

/// A stored password hash.
pub(super) enum StoredHash {
    Native(String),
    #[cfg(feature = "legacy-hashes")]
    Legacy(LegacyHash),
}

impl StoredHash {
    /// Parses a hash; `None` if it is malformed or not supported, so that no password matches it.
    pub(super) fn parse(hash: &str) -> Option<Self> {
        if hash.starts_with("$argon2") {
            return Some(Self::Native(hash.to_owned()));
        }
        #[cfg(feature = "legacy-hashes")]
        if let Some(legacy) = LegacyHash::parse(hash) {
            return Some(Self::Legacy(legacy));
        }
        None
    }

    /// The cost parameters of a native hash: `m=19456,t=2,p=1`.
    fn params(phc: &str) -> &str {
        phc.split('$').nth(3).unwrap_or_default()
    }

    /// The memory needed to check it, in KiB.
    pub(super) fn memory_kib(&self) -> u32 {
        match self {
            Self::Native(phc) => {
                let memory = Self::params(phc).split(',').find_map(|part| part.strip_prefix("m=")?.parse().ok());
                memory.unwrap_or(MEMORY_MIB * 1024)
            }
            #[cfg(feature = "legacy-hashes")]
            Self::Legacy(legacy) => legacy.memory_kib(),
        }
    }

    /// What determines how long a check takes.
    pub(super) fn cost(&self) -> String {
        match self {
            Self::Native(phc) => Self::params(phc).to_owned(),
            #[cfg(feature = "legacy-hashes")]
            Self::Legacy(legacy) => format!("{:?}", legacy.cost()),
        }
    }

    /// Whether the password matches it.
    pub(super) fn matches(&self, argon2: &Argon2<'_>, password: &str) -> bool {
        match self {
            Self::Native(phc) => argon2.verify_password(normalize(password).as_bytes(), phc.as_str()).is_ok(),
            // Not normalized, since Django hashes the password as it was typed.
            #[cfg(feature = "legacy-hashes")]
            Self::Legacy(legacy) => legacy.matches(password.as_bytes()),
        }
    }

    /// Whether it is a native hash that begins with this algorithm and cost.
    pub(super) fn starts_with(&self, prefix: &str) -> bool {
        match self {
            Self::Native(phc) => phc.starts_with(prefix),
            #[cfg(feature = "legacy-hashes")]
            Self::Legacy(_) => false,
        }
    }
}
