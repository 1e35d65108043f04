use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::SigningKey;
use guildhall_kernel as kernel;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::secret;

/// A current or retired signing key.
pub(crate) struct Key {
    pub(crate) kid: String,
    /// Deleted once the key is no longer needed to sign.
    pub(crate) seed: Option<[u8; 32]>,
    pub(crate) public: [u8; 32],
}

impl Key {
    /// Generates a key; its id is a prefix of the hash of its public key.
    pub(crate) fn generate() -> kernel::Result<Self> {
        let seed = secret::random::<32>()?;
        let public = public_key(&seed);
        let kid = URL_SAFE_NO_PAD.encode(&Sha256::digest(public)[..12]);
        Ok(Self { kid, seed: Some(seed), public })
    }
}

/// Derives the public key.
pub(crate) fn public_key(seed: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

/// A public key (RFC 8037 §2).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Jwk {
    /// The key type.
    #[schema(example = "OKP")]
    kty: &'static str,
    /// The curve.
    #[schema(example = "Ed25519")]
    crv: &'static str,
    /// The intended use: signatures.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    usage: &'static str,
    /// The algorithm.
    #[schema(example = "EdDSA")]
    alg: &'static str,
    /// The key id, as in the header of a token.
    kid: String,
    /// The public key, base64url.
    x: String,
}

impl From<&Key> for Jwk {
    fn from(key: &Key) -> Self {
        Self {
            kty: "OKP",
            crv: "Ed25519",
            usage: "sig",
            alg: "EdDSA",
            kid: key.kid.clone(),
            x: URL_SAFE_NO_PAD.encode(key.public),
        }
    }
}

/// The public keys, for services that verify tokens themselves (RFC 7517 §5).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Jwks {
    /// The keys of all tokens that are currently valid.
    keys: Vec<Jwk>,
}

impl Jwks {
    pub(super) fn new(keys: &[Key]) -> Self {
        Self { keys: keys.iter().map(Jwk::from).collect() }
    }

    /// The keys whose ids satisfy `is_valid`.
    pub(super) fn filter(&self, is_valid: impl Fn(&str) -> bool) -> Self {
        Self { keys: self.keys.iter().filter(|key| is_valid(&key.kid)).cloned().collect() }
    }
}
