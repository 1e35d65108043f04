//! Tokens of the same form and length as the server's, with a dummy signature.

use anyhow::Context;
use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use guildhall_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const HEADER: &str = r#"{"typ":"at+jwt","alg":"EdDSA","kid":"the-floors-key-0"}"#;
/// Length of an Ed25519 signature in base64url.
const SIGNATURE_LENGTH: usize = 86;
const ISSUER: &str = "guildhall";
const LIFETIME_SECONDS: i64 = 86_400;

/// The claims of a token.
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    sub: String,
    pub(super) sid: i64,
    pub(super) jti: String,
    iat: i64,
    exp: i64,
    token_type: String,
    user_id: i64,
    #[serde(rename = "gen")]
    pub(super) generation: i64,
}

impl Claims {
    /// The claims of the token in the `Authorization` header.
    pub(super) fn bearer(headers: &HeaderMap) -> anyhow::Result<Self> {
        let header = headers.get(header::AUTHORIZATION).context("there is no token")?.to_str()?;
        Self::read(header.strip_prefix("Bearer ").context("there is no access token")?)
    }

    /// The claims of a token, without verification.
    pub(super) fn read(token: &str) -> anyhow::Result<Self> {
        let middle = token.split('.').nth(1).context("a token has three parts")?;
        Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(middle)?)?)
    }

    fn write(&self) -> anyhow::Result<String> {
        let (header, claims) = (URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(serde_json::to_vec(self)?));
        Ok(format!("{header}.{claims}.{}", "A".repeat(SIGNATURE_LENGTH)))
    }
}

/// The data that tokens are issued from.
pub(super) struct Subject {
    pub(super) user: i64,
    pub(super) public_id: Uuid,
    pub(super) session: i64,
    pub(super) generation: i64,
    /// The id of the refresh token.
    pub(super) jti: String,
}

/// An access token and a refresh token.
#[derive(Serialize)]
pub(super) struct TokenPair {
    access: String,
    refresh: String,
    token_type: &'static str,
    expires_in: i64,
}

impl TokenPair {
    pub(super) fn issue(subject: &Subject) -> anyhow::Result<Self> {
        let now = Timestamp::now().unix_seconds();
        let token = |token_type: &str, jti: &str| {
            let claims = Claims {
                iss: ISSUER.to_owned(),
                aud: ISSUER.to_owned(),
                sub: subject.public_id.to_string(),
                sid: subject.session,
                jti: jti.to_owned(),
                iat: now,
                exp: now + LIFETIME_SECONDS,
                token_type: token_type.to_owned(),
                user_id: subject.user,
                generation: subject.generation,
            };
            claims.write()
        };
        Ok(Self {
            access: token("access", &super::random())?,
            refresh: token("refresh", &subject.jti)?,
            token_type: "Bearer",
            expires_in: LIFETIME_SECONDS,
        })
    }
}
