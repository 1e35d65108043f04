//! Idempotency keys: a request that is sent twice has one effect (draft-ietf-httpapi-idempotency-key-header).

use std::time::Duration;

use async_trait::async_trait;
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, OriginalUri, Request},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Set};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    Caller, Clock, Db, Error, Json, Kind, Result, Tagged, Timestamp,
    db::{self, Tx},
    entity::idempotency_key,
    job::Job,
};

/// How long a key is stored.
const RETENTION: Duration = Duration::from_secs(24 * 3600);
const MAX_KEY: usize = 255;
const MAX_CLIENT_ID: usize = 64;
const HEADER: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

fn require_key(key: &str) -> Result<()> {
    if (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Ok(());
    }
    Err(Error::field("Idempotency-Key", "Use 1 to 255 printable ASCII characters."))
}

/// Whether a text can be the `client_id` of a message: 1 to 64 ASCII letters, digits, `_` and `-`.
pub fn is_client_id(id: &str) -> bool {
    (1..=MAX_CLIENT_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The key by which a repeated message is recognized: its `client_id`, or else the `Idempotency-Key` of the request.
///
/// # Errors
/// If either of them is not valid.
pub fn message_key(client_id: Option<String>, key: Option<String>) -> Result<Option<String>> {
    if client_id.as_ref().is_some_and(|id| !is_client_id(id)) {
        return Err(Error::field("client_id", "Use 1 to 64 ASCII letters, digits, _ or -."));
    }
    if let Some(key) = &key {
        require_key(key)?;
    }
    Ok(client_id.or(key))
}

/// The idempotency key of a request, with a fingerprint of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: String,
    fingerprint: Vec<u8>,
}

impl IdempotencyKey {
    /// The key of a request. `request` is everything that the fingerprint covers: method, path, body.
    ///
    /// # Errors
    /// If the key is empty, longer than 255 characters or not printable ASCII.
    pub fn new(key: &str, request: &[&[u8]]) -> Result<Self> {
        require_key(key)?;
        let mut hash = Sha256::new();
        for part in request {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Ok(Self { key: key.to_owned(), fingerprint: hash.finalize().to_vec() })
    }

    /// The stored response of an earlier request with this key, if there is one. Call it first in the transaction;
    /// the key is unique within `scope` (`deals/3`).
    ///
    /// # Errors
    /// 422 `idempotency_key_reused` if a different request used the key, 409 `idempotency_in_progress` while the
    /// earlier request is still running. (SQLite has a single writer, so there the second request waits instead.)
    pub async fn replay(
        &self,
        conn: &impl ConnectionTrait,
        scope: &str,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Option<Value>> {
        if conn.get_database_backend() == DbBackend::Postgres {
            let lock = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 4711042))";
            let name = format!("{}/{scope}/{}", caller.user, self.key);
            if !db::scalar::<bool>(conn, lock, [name.into()]).await?.unwrap_or_default() {
                let detail = "A request with this Idempotency-Key is still running.";
                return Err(Error::new(Kind::Conflict, "idempotency_in_progress", detail));
            }
        }
        let stored = idempotency_key::Entity::find_by_id((caller.user, scope.to_owned(), self.key.clone()));
        let Some(stored) = stored.one(conn).await? else { return Ok(None) };
        if now.since(stored.created_at) > RETENTION {
            self.forget(conn, scope, caller).await?;
            return Ok(None);
        }
        if stored.fingerprint != self.fingerprint {
            let detail = "This Idempotency-Key was already used for another request.";
            return Err(Error::new(Kind::Unprocessable, "idempotency_key_reused", detail));
        }
        serde_json::from_str(&stored.answer).map(Some).map_err(Error::internal)
    }

    /// Deletes the key, so that the request can run again.
    pub async fn forget(&self, conn: &impl ConnectionTrait, scope: &str, caller: &Caller) -> Result<()> {
        idempotency_key::Entity::delete_by_id((caller.user, scope.to_owned(), self.key.clone())).exec(conn).await?;
        Ok(())
    }

    /// Stores the response, in the transaction of the operation, in which [`replay`](Self::replay) found none.
    pub async fn store(
        &self,
        tx: &Tx,
        scope: &str,
        caller: &Caller,
        response: &impl Serialize,
        now: Timestamp,
    ) -> Result<()> {
        let row = idempotency_key::ActiveModel {
            user_id: Set(caller.user),
            scope: Set(scope.to_owned()),
            key: Set(self.key.clone()),
            fingerprint: Set(self.fingerprint.clone()),
            answer: Set(serde_json::to_string(response).map_err(Error::internal)?),
            created_at: Set(now),
        };
        db::insert_only(&tx.deferred(), row).await?;
        Ok(())
    }
}

/// Deletes keys that are older than a day.
#[derive(Clone)]
pub struct Pruning {
    db: Db,
    clock: Clock,
}

impl Pruning {
    /// The job for a database.
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }
}

#[async_trait]
impl Job for Pruning {
    fn name(&self) -> &'static str {
        "kernel.idempotency"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> Result<()> {
        let is_old = &idempotency_key::Column::CreatedAt.lt(self.clock.now() - RETENTION);
        self.db
            .write(|tx| async move {
                idempotency_key::Entity::delete_many().filter(is_old.clone()).exec(&tx).await.map(|_| ())
            })
            .await?;
        Ok(())
    }
}

/// The result of an idempotent creation: 201, with `Idempotent-Replayed: true` if it is the response of an earlier
/// request. The field `updated_at`, if there is one, becomes the `ETag`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idempotent<T> {
    /// The result of this request.
    Created(T),
    /// The stored response of an earlier request.
    Replayed(Value),
}

impl<T: Serialize> IntoResponse for Idempotent<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Created(value) => {
                let version = version(&serde_json::to_value(&value).unwrap_or_default());
                created(value, version)
            }
            Self::Replayed(value) => {
                let mut response = created(&value, version(&value));
                response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                response
            }
        }
    }
}

fn version(value: &Value) -> Option<Timestamp> {
    serde_json::from_value(value["updated_at"].clone()).ok()
}

fn created<T: Serialize>(value: T, version: Option<Timestamp>) -> Response {
    match version {
        Some(version) => (StatusCode::CREATED, Tagged(version.into(), value)).into_response(),
        None => (StatusCode::CREATED, Json(value)).into_response(),
    }
}

/// The `Idempotency-Key` header of a request whose body is not JSON.
#[derive(Clone, Debug)]
pub struct KeyHeader(Option<String>);

impl KeyHeader {
    /// The key, if the client sent one; see [`IdempotencyKey::new`].
    ///
    /// # Errors
    /// If the key is not valid.
    pub fn key(&self, request: &[&[u8]]) -> Result<Option<IdempotencyKey>> {
        self.0.as_deref().map(|key| IdempotencyKey::new(key, request)).transpose()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for KeyHeader {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let key = parts.headers.get(HEADER);
        Ok(Self(key.map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned())))
    }
}

/// A JSON body, and the `Idempotency-Key` where the client sent one.
#[derive(Clone, Debug)]
pub struct WithKey<T> {
    /// The key.
    pub key: Option<IdempotencyKey>,
    /// The body.
    pub value: T,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for WithKey<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let path = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.path(), |uri| uri.path());
        let path = path.trim_end_matches('/').to_owned();
        let key = parts.headers.get(HEADER).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let method = parts.method.clone();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state)
            .await
            .map_err(crate::extract::unreadable)?;
        let key = key
            .map(|key| IdempotencyKey::new(&key, &[method.as_str().as_bytes(), path.as_bytes(), &body]))
            .transpose()?;
        let is_json =
            parts.headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"application/json"));
        if body.is_empty()
            && is_json
            && let Ok(value) = serde_json::from_str("null")
        {
            // An empty body means `null`.
            return Ok(Self { key, value });
        }
        let request = Request::from_parts(parts, axum::body::Body::from(body));
        let Json(value) = <Json<T> as FromRequest<S>>::from_request(request, state).await?;
        Ok(Self { key, value })
    }
}
