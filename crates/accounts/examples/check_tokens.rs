//! Another service, which knows nothing of the database, and checks tokens by their signature: it gets
//! the public keys from `/.well-known/jwks.json` (RFC 7517) and again when a token names a new one.
//!
//! That a session was ended meanwhile it learns when the access token expires, five minutes later at
//! the latest; whoever cannot wait asks `POST /api/auth/verify/`.
//!
//! Try it, beside a server on port 8000: `cargo run -p guildhall-accounts --example check_tokens`, then
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

/// The keys of the server, by their ids.
#[derive(Clone)]
struct Keys {
    server: String,
    known: Arc<RwLock<HashMap<String, VerifyingKey>>>,
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
struct Head {
    alg: String,
    typ: String,
    kid: String,
    crit: Option<serde_json::Value>,
}

/// What an access token says. `sub` is who; the same person has the same one for ever.
#[derive(Deserialize)]
struct Person {
    iss: String,
    aud: String,
    sub: String,
    exp: i64,
    user_id: i64,
}

impl Keys {
    async fn key(&self, kid: &str) -> Option<VerifyingKey> {
        if let Some(key) = self.known.read().await.get(kid) {
            return Some(*key);
        }
        // A key that is not known is a new one, or none at all; a real service asks once a minute at most.
        let fresh = self.fetch().await.ok()?;
        let mut known = self.known.write().await;
        *known = fresh;
        known.get(kid).copied()
    }

    async fn fetch(&self) -> Result<HashMap<String, VerifyingKey>, Box<dyn Error>> {
        let jwks: Jwks = reqwest::get(format!("{}/.well-known/jwks.json", self.server)).await?.json().await?;
        let ours = jwks.keys.into_iter().filter(|key| key.kty == "OKP" && key.crv == "Ed25519");
        let read = |key: Jwk| {
            let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(key.x).ok()?.try_into().ok()?;
            Some((key.kid, VerifyingKey::from_bytes(&bytes).ok()?))
        };
        Ok(ours.filter_map(read).collect())
    }

    /// Whoever an access token is of, if it is one of the server's and has not expired.
    async fn person(&self, token: &str) -> Option<Person> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let head: Head = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()?;
        // `at+jwt` says that it is an access token (RFC 9068 §2.1): a refresh token opens nothing.
        if head.alg != "EdDSA" || head.typ != "at+jwt" || head.crit.is_some() {
            return None;
        }
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        self.key(&head.kid).await?.verify_strict(signed.as_bytes(), &signature).ok()?;
        let person: Person = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let ours = person.iss == ISSUER && person.aud == ISSUER;
        (ours && person.exp > Timestamp::now().unix_seconds()).then_some(person)
    }
}

impl FromRequestParts<Keys> for Person {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, keys: &Keys) -> Result<Self, StatusCode> {
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
        keys.person(token).await.ok_or(StatusCode::UNAUTHORIZED)
    }
}

async fn hello(State(_): State<Keys>, person: Person) -> String {
    format!("Hello, user {} ({})!\n", person.user_id, person.sub)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8000".to_owned());
    let keys = Keys { server, known: Arc::default() };
    let app = Router::new().route("/hello", get(hello)).with_state(keys);
    Ok(axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8003").await?, app).await?)
}
