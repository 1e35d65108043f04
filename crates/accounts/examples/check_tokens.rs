//! A separate service without database access that verifies access tokens by their signature. It fetches
//! the public keys from `/.well-known/jwks.json` (RFC 7517), and again when a token names an unknown key.
//!
//! A token remains valid here until it expires, up to five minutes after its session ended. Services that
//! need to know immediately call `POST /api/auth/verify/`.
//!
//! Try it, with a server on port 8000: `cargo run -p guildhall-accounts --example check_tokens`, then
//! `curl -H "Authorization: Bearer $ACCESS" http://127.0.0.1:8003/hello`

use std::{collections::HashMap, error::Error, sync::Arc};

use axum::{
    Router,
    extract::{FromRequestParts, State},
    http::{StatusCode, header, request::Parts},
    routing::get,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use guildhall_kernel::Timestamp;
use serde::Deserialize;
use tokio::sync::RwLock;

const ISSUER: &str = "guildhall";

/// The public keys of the server, by id.
#[derive(Clone)]
struct Keys {
    server: String,
    cache: Arc<RwLock<HashMap<String, VerifyingKey>>>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    kid: String,
    x: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
    crit: Option<serde_json::Value>,
}

/// The claims of an access token. `sub` identifies the user and never changes.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    exp: i64,
    user_id: i64,
}

impl Keys {
    async fn key(&self, kid: &str) -> Option<VerifyingKey> {
        if let Some(key) = self.cache.read().await.get(kid) {
            return Some(*key);
        }
        // An unknown key may be new or invalid. A real service should limit this to once a minute.
        let keys = self.fetch().await.ok()?;
        let mut cache = self.cache.write().await;
        *cache = keys;
        cache.get(kid).copied()
    }

    async fn fetch(&self) -> Result<HashMap<String, VerifyingKey>, Box<dyn Error>> {
        let jwks: Jwks = reqwest::get(format!("{}/.well-known/jwks.json", self.server)).await?.json().await?;
        let ed25519_keys = jwks.keys.into_iter().filter(|key| key.kty == "OKP" && key.crv == "Ed25519");
        let parse = |key: Jwk| {
            let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(key.x).ok()?.try_into().ok()?;
            Some((key.kid, VerifyingKey::from_bytes(&bytes).ok()?))
        };
        Ok(ed25519_keys.filter_map(parse).collect())
    }

    /// The claims of an access token, if it is valid.
    async fn verify(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        // `at+jwt` identifies access tokens (RFC 9068 §2.1); refresh tokens must not be accepted.
        if header.alg != "EdDSA" || header.typ != "at+jwt" || header.crit.is_some() {
            return None;
        }
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        self.key(&header.kid).await?.verify_strict(signed.as_bytes(), &signature).ok()?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let is_for_us = claims.iss == ISSUER && claims.aud == ISSUER;
        (is_for_us && claims.exp > Timestamp::now().unix_seconds()).then_some(claims)
    }
}

impl FromRequestParts<Keys> for Claims {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, keys: &Keys) -> Result<Self, StatusCode> {
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
        keys.verify(token).await.ok_or(StatusCode::UNAUTHORIZED)
    }
}

async fn hello(State(_): State<Keys>, claims: Claims) -> String {
    format!("Hello, user {} ({})!\n", claims.user_id, claims.sub)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8000".to_owned());
    let keys = Keys { server, cache: Arc::default() };
    let app = Router::new().route("/hello", get(hello)).with_state(keys);
    Ok(axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8003").await?, app).await?)
}
