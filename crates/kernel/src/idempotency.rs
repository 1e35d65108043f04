//! Requests that may be sent twice and are done once (draft-ietf-httpapi-idempotency-key-header).

use std::time::Duration;

use async_trait::async_trait;
use axum::{
    body::Bytes,
    extract::{FromRequest, OriginalUri, Request},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Set, Statement};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Caller, Clock, Db, Error, Json, Kind, Result, Tagged, Timestamp, entity::idempotency_key, job::Job};

/// How long a key is known.
const KEPT: Duration = Duration::from_secs(24 * 3600);
const LONGEST_KEY: usize = 255;
const HEADER: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A request that must not be done twice: the key that the client gave it, and what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    key: String,
    fingerprint: Vec<u8>,
}

impl Once {
    /// A key for a request; `request` is whatever tells two requests apart.
    ///
    /// # Errors
    /// Where the key is empty, longer than 255 characters or not printable ASCII.
    pub fn new(key: &str, request: &[&[u8]]) -> Result<Self> {
        if key.is_empty() || key.len() > LONGEST_KEY || !key.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            let message = "Give 1 to 255 printable ASCII characters.";
            return Err(Error::field("Idempotency-Key", message));
        }
        let mut hash = Sha256::new();
        for part in request {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Ok(Self { key: key.to_owned(), fingerprint: hash.finalize().to_vec() })
    }

    /// What was answered when this was done before; none where it was not. Called first in the transaction
    /// that does it, with what the key counts within (`deals/3`).
    ///
    /// # Errors
    /// 422 `idempotency_key_reused` where the key was given to something else, 409 `idempotency_in_progress`
    /// while another node is doing it. (On SQLite the one writer has others wait.)
    pub async fn before(
        &self,
        conn: &impl ConnectionTrait,
        realm: &str,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Option<Value>> {
        if conn.get_database_backend() == DbBackend::Postgres {
            let lock = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 4711042))";
            let name = format!("{}/{realm}/{}", caller.user, self.key);
            let lock = Statement::from_sql_and_values(DbBackend::Postgres, lock, [name.into()]);
            let row = conn.query_one_raw(lock).await?;
            if !row.map(|row| row.try_get_by_index::<bool>(0)).transpose()?.unwrap_or_default() {
                let detail = "A request with this Idempotency-Key is being done.";
                return Err(Error::new(Kind::Conflict, "idempotency_in_progress", detail));
            }
        }
        let known = idempotency_key::Entity::find_by_id((caller.user, realm.to_owned(), self.key.clone()));
        let Some(known) = known.one(conn).await? else { return Ok(None) };
        if now.since(known.created_at) > KEPT {
            self.forget(conn, realm, caller).await?;
            return Ok(None);
        }
        if known.fingerprint != self.fingerprint {
            let detail = "This Idempotency-Key was given to another request.";
            return Err(Error::new(Kind::Unprocessable, "idempotency_key_reused", detail));
        }
        serde_json::from_str(&known.answer).map(Some).map_err(Error::internal)
    }

    /// Forgets the key, so that the request can be done after all.
    pub async fn forget(&self, conn: &impl ConnectionTrait, realm: &str, caller: &Caller) -> Result<()> {
        idempotency_key::Entity::delete_by_id((caller.user, realm.to_owned(), self.key.clone())).exec(conn).await?;
        Ok(())
    }

    /// Keeps the answer, in the transaction that did it.
    pub async fn after(
        &self,
        conn: &impl ConnectionTrait,
        realm: &str,
        caller: &Caller,
        answer: &impl Serialize,
        now: Timestamp,
    ) -> Result<()> {
        let row = idempotency_key::ActiveModel {
            user_id: Set(caller.user),
            realm: Set(realm.to_owned()),
            key: Set(self.key.clone()),
            fingerprint: Set(self.fingerprint.clone()),
            answer: Set(serde_json::to_string(answer).map_err(Error::internal)?),
            created_at: Set(now),
        };
        idempotency_key::Entity::insert(row).exec_without_returning(conn).await?;
        Ok(())
    }
}

/// Forgets keys that are older than a day.
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

    fn every(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> Result<()> {
        let old = idempotency_key::Column::CreatedAt.lt(self.clock.now() - KEPT);
        let old = &old;
        self.db
            .write(|tx| async move {
                idempotency_key::Entity::delete_many().filter(old.clone()).exec(tx.conn()).await.map(|_| ())
            })
            .await?;
        Ok(())
    }
}

/// What was made, or what was made when the same was asked before: 201 either way, the second with
/// `Idempotent-Replayed: true`. What has an `updated_at` has it as its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made<T> {
    /// It was made now.
    New(T),
    /// It was made before; this was the answer.
    Before(Value),
}

impl<T: Serialize> IntoResponse for Made<T> {
    fn into_response(self) -> Response {
        match self {
            Self::New(value) => {
                let version = version(&serde_json::to_value(&value).unwrap_or_default());
                created(value, version)
            }
            Self::Before(answer) => {
                let mut response = created(&answer, version(&answer));
                response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                response
            }
        }
    }
}

fn version(answer: &Value) -> Option<Timestamp> {
    serde_json::from_value(answer["updated_at"].clone()).ok()
}

fn created<T: Serialize>(value: T, version: Option<Timestamp>) -> Response {
    match version {
        Some(changed) => (StatusCode::CREATED, Tagged(changed.into(), value)).into_response(),
        None => (StatusCode::CREATED, Json(value)).into_response(),
    }
}

/// A JSON body that may come with an `Idempotency-Key`.
#[derive(Clone, Debug)]
pub struct Keyed<T> {
    /// The key, if one was given.
    pub once: Option<Once>,
    /// The body.
    pub value: T,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Keyed<T> {
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
        let once = key.map(|key| Once::new(&key, &[method.as_str().as_bytes(), path.as_bytes(), &body])).transpose()?;
        let json =
            parts.headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"application/json"));
        if body.is_empty()
            && json
            && let Ok(value) = serde_json::from_str("null")
        {
            // No body at all, where none is needed.
            return Ok(Self { once, value });
        }
        let request = Request::from_parts(parts, axum::body::Body::from(body));
        let Json(value) = <Json<T> as FromRequest<S>>::from_request(request, state).await?;
        Ok(Self { once, value })
    }
}
