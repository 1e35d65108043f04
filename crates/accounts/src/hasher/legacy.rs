//! Verification of Django password hashes, so that users of imported accounts can sign in with their
//! existing password.
//!
//! The cost parameters are part of the hash, so a crafted hash could exhaust CPU or memory. Each
//! parameter has a limit; a hash that exceeds one is unusable.

use argon2::{Argon2, PasswordVerifier as _};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::Sha256;
use subtle::ConstantTimeEq;

const MAX_ROUNDS: u32 = 5_000_000;
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;
const MAX_BCRYPT_COST: u32 = 15;

/// A hash that was created by Django.
pub(super) enum LegacyHash {
    Pbkdf2 {
        digest: Digest,
        rounds: u32,
        salt: String,
        expected: Vec<u8>,
    },
    /// The PHC string after Django's prefix.
    Argon2 {
        phc: String,
        memory_kib: u32,
        passes: u32,
        lanes: u32,
    },
    /// `hashed`: bcrypt of the hexadecimal SHA-256, which has no limit of 72 bytes.
    Bcrypt {
        hashed: bool,
        cost: u32,
        crypt: String,
    },
    Scrypt {
        log_n: u8,
        r: u32,
        p: u32,
        salt: String,
        expected: Vec<u8>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Digest {
    Sha1,
    Sha256,
}

impl LegacyHash {
    /// Parses a Django hash. Returns `None` if the algorithm is unknown or too weak (MD5, plain SHA-1),
    /// the hash is malformed, or its cost exceeds a limit.
    pub(super) fn parse(hash: &str) -> Option<Self> {
        let (algorithm, rest) = hash.split_once('$')?;
        match algorithm {
            "pbkdf2_sha256" => Self::pbkdf2(Digest::Sha256, rest),
            "pbkdf2_sha1" => Self::pbkdf2(Digest::Sha1, rest),
            "argon2" => Self::argon2(rest),
            "bcrypt" => Self::bcrypt(false, rest),
            "bcrypt_sha256" => Self::bcrypt(true, rest),
            "scrypt" => Self::scrypt(rest),
            _ => None,
        }
    }

    fn pbkdf2(digest: Digest, rest: &str) -> Option<Self> {
        let [rounds, salt, expected] = split(rest)?;
        let rounds = rounds.parse().ok().filter(|rounds| (1..=MAX_ROUNDS).contains(rounds))?;
        let expected = STANDARD.decode(expected).ok()?;
        let length = if digest == Digest::Sha1 { 20 } else { 32 };
        let is_complete = !salt.is_empty() && expected.len() == length;
        is_complete.then(|| Self::Pbkdf2 { digest, rounds, salt: salt.to_owned(), expected })
    }

    fn argon2(rest: &str) -> Option<Self> {
        let phc = format!("${rest}");
        let parsed = argon2::password_hash::phc::PasswordHash::new(&phc).ok()?;
        let param = |name: &str| parsed.params.get_decimal(name);
        let (memory_kib, passes, lanes) = (param("m")?, param("t")?, param("p")?);
        let allowed = memory_kib <= MAX_MEMORY_KIB && passes <= MAX_PASSES && lanes <= MAX_LANES;
        (allowed && parsed.hash.is_some()).then_some(Self::Argon2 { phc, memory_kib, passes, lanes })
    }

    fn bcrypt(hashed: bool, crypt: &str) -> Option<Self> {
        let cost = crypt.get(4..6)?.parse().ok().filter(|cost| (4..=MAX_BCRYPT_COST).contains(cost))?;
        let is_complete = crypt.starts_with("$2") && crypt.len() == 60;
        is_complete.then(|| Self::Bcrypt { hashed, cost, crypt: crypt.to_owned() })
    }

    fn scrypt(rest: &str) -> Option<Self> {
        // Django's order: N, salt, r, p.
        let [n, salt, r, p, expected] = split(rest)?;
        let (n, r, p) = (n.parse::<u64>().ok()?, r.parse::<u32>().ok()?, p.parse::<u32>().ok()?);
        let memory = n.checked_mul(128)?.checked_mul(r.into())?;
        let allowed = n.is_power_of_two() && memory <= u64::from(MAX_MEMORY_KIB) * 1024 && p <= MAX_LANES;
        let expected = STANDARD.decode(expected).ok()?;
        let log_n = u8::try_from(n.checked_ilog2()?).ok()?;
        let is_complete = !expected.is_empty() && expected.len() <= 64;
        let is_usable = allowed && is_complete && scrypt::Params::new(log_n, r, p).is_ok();
        is_usable.then(|| Self::Scrypt { log_n, r, p, salt: salt.to_owned(), expected })
    }

    /// Whether the password matches the hash.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Pbkdf2 { digest, rounds, salt, expected } => {
                let mut actual = vec![0; expected.len()];
                match digest {
                    Digest::Sha1 => pbkdf2::pbkdf2_hmac::<sha1::Sha1>(password, salt.as_bytes(), *rounds, &mut actual),
                    Digest::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt.as_bytes(), *rounds, &mut actual),
                }
                actual.ct_eq(expected).into()
            }
            Self::Argon2 { phc, .. } => Argon2::default().verify_password(password, phc.as_str()).is_ok(),
            Self::Bcrypt { hashed: false, crypt, .. } => bcrypt::verify(password, crypt).unwrap_or(false),
            Self::Bcrypt { hashed: true, crypt, .. } => {
                use sha2::Digest as _;
                let hex: String = Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect();
                bcrypt::verify(hex, crypt).unwrap_or(false)
            }
            Self::Scrypt { log_n, r, p, salt, expected } => {
                let mut actual = vec![0; expected.len()];
                let Ok(params) = scrypt::Params::new(*log_n, *r, *p) else { return false };
                let result = scrypt::scrypt(password, salt.as_bytes(), &params, &mut actual);
                result.is_ok() && bool::from(actual.ct_eq(expected))
            }
        }
    }

    /// The memory needed to check it, in KiB.
    pub(super) fn memory_kib(&self) -> u32 {
        match self {
            Self::Argon2 { memory_kib, .. } => *memory_kib,
            Self::Scrypt { log_n, r, .. } => (1_u32 << log_n).saturating_mul(*r) / 8,
            Self::Pbkdf2 { .. } | Self::Bcrypt { .. } => 4,
        }
    }

    /// What determines how long a check takes: hashes of equal cost take equally long.
    pub(super) fn cost(&self) -> (u8, u64, u64) {
        match self {
            Self::Pbkdf2 { digest, rounds, .. } => (u8::from(*digest == Digest::Sha1), u64::from(*rounds), 0),
            Self::Argon2 { memory_kib, passes, lanes, .. } => {
                (2, u64::from(*memory_kib) * u64::from(*passes), u64::from(*lanes))
            }
            Self::Bcrypt { cost, .. } => (3, u64::from(*cost), 0),
            Self::Scrypt { log_n, r, p, .. } => (4, u64::from(*log_n), u64::from(*r) * u64::from(*p)),
        }
    }
}

/// Splits at the dollar signs, if there are exactly `N` parts.
fn split<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split('$').collect::<Vec<_>>().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &[u8] = "correct horse é".as_bytes();

    /// Created by Django 5.2.
    const FROM_DJANGO: [&str; 6] = [
        "pbkdf2_sha256$1000000$xYk4ZS051A2mNOqTXWx8an$KZFnM8SRKMVgF09fCFE2/EzbESYvzASxTbsfRYUvJ8M=",
        "pbkdf2_sha1$1000000$Zuy4h8ifAk9frgGx2PtEn4$P7l4mvO+MJr9bUcbk4DtjjVVriQ=",
        "argon2$argon2id$v=19$m=102400,t=2,p=8$aFBlUld3T0w3d292RWdlVFE5ZVE3Qw$tdH4k+Ws0hL0P6ULR2roPqhL9F8KLLFRSRccOZrgj54",
        "bcrypt_sha256$$2b$12$2SePwGRFD25r0wu.KK7LLuk3dr.YLrTZ.Uid9LwSWWbxH9DjsYXdu",
        "bcrypt$$2b$12$4NgC24Qf757gaAWiSxjbFO7UBunCfl6R6lFCuhp6w2MZiFQB.TrHa",
        "scrypt$16384$9nqhIP7kjjCSy7tIOUBiXG$8$5$IJJUD2bDYU4nFuhttq9YJx1dWZ4eDFud8Nvt+yFhDvEEniO9l7IY2WuGDe/EhyCnyktJloE8hWFb8wzyIA4R0w==",
    ];

    #[test]
    fn django_hashes_match_their_password_only() {
        for hash in FROM_DJANGO {
            let parsed = LegacyHash::parse(hash).unwrap_or_else(|| panic!("{hash}"));
            assert!(parsed.matches(PASSWORD), "{hash}");
            assert!(!parsed.matches(b"correct house"), "{hash}");
        }
    }

    #[test]
    fn bcrypt_uses_only_the_first_72_bytes() {
        let long = "x".repeat(80);
        let crypt = format!("bcrypt${}", bcrypt::hash(&long, 4).unwrap());
        assert!(LegacyHash::parse(&crypt).unwrap().matches(&long.as_bytes()[..72]));
        assert!(!LegacyHash::parse(&crypt).unwrap().matches(&long.as_bytes()[..71]));
    }

    #[test]
    fn weak_malformed_and_too_expensive_hashes_are_unusable() {
        for hash in [
            "",
            "!0Qe5SZujIvJYpFUUMBKvEpTTOQId3Jz5E7pb5poo",
            "md5$godkNEj56lFYyRCI7W89Ih$61ee85ce913f8b3b03f8cf5aa1269518",
            "pbkdf2_sha256$5000001$salt$KZFnM8SRKMVgF09fCFE2/EzbESYvzASxTbsfRYUvJ8M=",
            "pbkdf2_sha256$0$salt$KZFnM8SRKMVgF09fCFE2/EzbESYvzASxTbsfRYUvJ8M=",
            "pbkdf2_sha256$1000$salt$",
            "pbkdf2_sha256$1000$salt$AAAA",
            "pbkdf2_sha256$1000",
            "argon2$argon2id$v=19$m=1000000,t=2,p=8$aFBlUld3T0w3d292RWdlVFE5ZVE3Qw$tdH4k+Ws0hL0P6ULR2roPqhL9F8KLLFRSRccOZrgj54",
            "argon2$argon2id$v=19$m=1024,t=99,p=8$aFBlUld3T0w3d292RWdlVFE5ZVE3Qw$tdH4k+Ws0hL0P6ULR2roPqhL9F8KLLFRSRccOZrgj54",
            "argon2$nonsense",
            "bcrypt$$2b$31$4NgC24Qf757gaAWiSxjbFO7UBunCfl6R6lFCuhp6w2MZiFQB.TrHa",
            "bcrypt$é",
            "scrypt$1073741824$salt$8$5$IJJUD2bDYU4nFuhttq9YJw==",
            "scrypt$16383$salt$8$5$IJJUD2bDYU4nFuhttq9YJw==",
            "scrypt$16384$salt$8$5$",
            "scrypt$16384$salt$4294967295$5$IJJUD2bDYU4nFuhttq9YJw==",
        ] {
            assert!(LegacyHash::parse(hash).is_none(), "{hash}");
        }
    }
}
