//! The identification of the server towards push services (VAPID, RFC 8292).

use std::time::Duration;

use axum::http::Uri;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use guildhall_kernel::{Db, Error, Result, Timestamp, secret};
use serde_json::json;
use sha2::{Digest, Sha256};
use web_push_native::p256::ecdsa::{Signature, SigningKey, signature::Signer};

/// How long a signed token is valid; at most a day (RFC 8292 §2).
const TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// The key pair of an installation.
pub(super) struct VapidKey(SigningKey);

impl VapidKey {
    /// The key pair, which is generated on first use.
    pub(super) async fn open(db: &Db) -> Result<Self> {
        Self::derive(&secret::open(db, "notifications.vapid").await?)
    }

    /// Not every number of 256 bits is a private key, so several are derived from the secret.
    fn derive(secret: &secret::Secret) -> Result<Self> {
        let candidate = |counter: u8| Sha256::new().chain_update(secret).chain_update([counter]).finalize();
        let key = (0..=u8::MAX).find_map(|counter| SigningKey::from_slice(&candidate(counter)).ok());
        key.map(Self).ok_or_else(|| Error::internal("no private key can be derived from the secret"))
    }

    /// The public key in base64url, as an uncompressed point.
    pub(super) fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.verifying_key().to_encoded_point(false).as_bytes())
    }

    /// The `Authorization` header for a push service; `None` if the URL has no host.
    pub(super) fn authorization(&self, endpoint: &Uri, contact: &str, now: Timestamp) -> Option<String> {
        let audience = format!("{}://{}", endpoint.scheme_str()?, endpoint.authority()?);
        let expires = (now + TOKEN_LIFETIME).unix_seconds();
        let header = URL_SAFE_NO_PAD.encode(json!({ "typ": "JWT", "alg": "ES256" }).to_string());
        let claims = json!({ "aud": audience, "exp": expires, "sub": contact }).to_string();
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature: Signature = self.0.sign(signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.to_bytes());
        Some(format!("vapid t={signed}.{signature}, k={}", self.public_key()))
    }
}
