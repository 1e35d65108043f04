//! The floor: a baseline server to compare Guildhall with. It is a minimal axum server behind the same middleware, runs
//! the same statements through plain sqlx and responds with the same JSON. The difference is the overhead of Guildhall.
//!
//! It only reads and writes: it does not validate input, and does not sign or verify tokens.

mod community;
mod deals;
mod organization;
mod payments;
mod responses;
mod statements;
mod store;
mod tokens;
mod writes;

use std::{
    collections::BTreeMap, io, net::SocketAddr, num::NonZero, sync::Arc, thread::available_parallelism, time::Duration,
};

use anyhow::{Context, anyhow, ensure};
use argon2::{Argon2, PasswordVerifier as _};
use axum::{
    Json, Router,
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
    serve::ListenerExt,
};
use guildhall_gateway::{Settings, Sources, layers};
use guildhall_kernel::{PublicUrl, Timestamp};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde::Deserialize;
use tokio::{net::TcpListener, sync::Semaphore};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};
use uuid::Uuid;

use responses::{Account, Page, SignedIn, User};
use store::{Arg, Conn, Store};
use tokens::{Claims, Subject, TokenPair};
use writes::{NewSession, Rotation, Write};

/// The id of a signing key. The lookup is part of the work; the key need not exist.
const KEY: &str = "the-floors-key-0";
/// The same histogram buckets as the server.
const DURATION_BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// How often histograms are aggregated, as in the server.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);
/// Lists are counted up to this number of rows.
const MAX_COUNT: i64 = 10_000;
/// The default page size.
const PAGE_SIZE: i64 = 20;

const BY_SESSION: &str = "SELECT u.id AS user_id, u.is_active, u.is_teacher, u.is_staff, u.is_superuser, \
    s.expires_at, s.seen_generation, s.revoked_at IS NULL AND s.auth_epoch = u.auth_epoch AS is_open, \
    EXISTS (SELECT 1 FROM accounts_signing_key k WHERE k.kid = $2 AND (k.is_active OR k.verifies_until > $3)) \
    FROM accounts_session s JOIN users u ON u.id = s.user_id WHERE s.id = $1";
const BY_NAME: &str = "SELECT id, auth_epoch, public_id, password_hash, is_active FROM users WHERE username_key = $1";
const SECOND_FACTOR: &str =
    "SELECT user_id, secret, last_step, created_at, confirmed_at FROM accounts_totp WHERE user_id = $1";
const COUNT_USERS: &str =
    "SELECT COUNT(*) FROM (SELECT 1 FROM users WHERE erased_at IS NULL AND is_active = $1 LIMIT $2) AS listed";

type Result<T, E = Failure> = std::result::Result<T, E>;
type Shared = State<Arc<Floor>>;

/// An internal error.
struct Failure(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let cause = format!("{:#}", self.0);
        tracing::error!(%cause, "the floor failed");
        (StatusCode::INTERNAL_SERVER_ERROR, cause).into_response()
    }
}

struct Floor {
    store: Store,
    /// Limits concurrent hashes to the number of cores, as in the server.
    gate: Arc<Semaphore>,
    url: PublicUrl,
}

/// Serves the floor, with the same log and metrics as the server.
pub async fn serve(bind: SocketAddr, database: String) -> anyhow::Result<()> {
    start_telemetry()?;
    serve_on(TcpListener::bind(bind).await?, database).await
}

/// Serves the floor on a filled database.
pub async fn serve_on(listener: TcpListener, database: String) -> anyhow::Result<()> {
    let url: PublicUrl = format!("http://{}", listener.local_addr()?).parse()?;
    let variables = BTreeMap::from([
        ("GUILDHALL__DATABASE__URL".to_owned(), database.clone()),
        ("GUILDHALL__LIMITS__ENABLED".to_owned(), "false".to_owned()),
    ]);
    let settings = Settings::load(&Sources { variables, ..Sources::default() }).map_err(anyhow::Error::msg)?;
    let cores = available_parallelism().map_or(1, NonZero::get);
    let store = Store::open(&database, settings.connections()).await?;
    let floor = Floor { store, gate: Arc::new(Semaphore::new(cores)), url: url.clone() };
    let router = layers::wrap(routes(floor), &settings, &url);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

/// Starts logging and metrics as in the server; the middleware uses them for every request.
fn start_telemetry() -> anyhow::Result<()> {
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr).json();
    let log = log.flatten_event(true).with_current_span(true).with_span_list(false);
    tracing_subscriber::registry().with(log.with_filter(EnvFilter::new("info"))).try_init()?;
    let metrics = PrometheusBuilder::new().set_buckets(&DURATION_BUCKETS)?.install_recorder()?;
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(MAINTENANCE_INTERVAL).await;
            metrics.run_upkeep();
        }
    });
    Ok(())
}

fn routes(floor: Floor) -> Router {
    Router::new()
        .route("/readyz", get(|| std::future::ready("ok")))
        .route("/api/auth/login/", post(sign_in))
        .route("/api/auth/refresh/", post(refresh))
        .route("/api/auth/me/", get(me))
        .route("/api/users/", get(users))
        .route("/api/community/groups/", get(community::groups).post(community::create_group))
        .route("/api/community/groups/{id}/", get(community::group).delete(community::delete_group))
        .route("/api/community/posts/", get(community::feed).post(community::create_post))
        .route("/api/community/posts/{id}/reactions/{kind}/", put(community::react))
        .route("/api/community/search/", get(community::search))
        .route("/api/crm/organizations/{org}/deals/", get(deals::deals).post(deals::create_deal))
        .route("/api/crm/organizations/{org}/deals/{id}/", get(deals::deal))
        .route("/api/crm/organizations/{org}/deals/{id}/payments/", post(payments::pay))
        .with_state(Arc::new(floor))
}

impl Floor {
    /// Authenticates the caller by the session of the token.
    async fn caller(&self, headers: &HeaderMap) -> anyhow::Result<i64> {
        let claims = Claims::bearer(headers)?;
        let row = self
            .store
            .read()
            .await?
            .conn()
            .one(BY_SESSION, &[Arg::Int(claims.sid), Arg::Text(KEY), Arg::Int(now())])
            .await?;
        let is_open = row.get::<bool>(1)? && row.get::<bool>(7)? && row.get::<i64>(5)? > now();
        ensure!(is_open, "the session has ended");
        Ok(row.get(0)?)
    }

    async fn verify_password(&self, password: String, hash: String) -> anyhow::Result<()> {
        let permit = self.gate.clone().acquire_owned().await?;
        let verification = tokio::task::spawn_blocking(move || {
            let outcome = Argon2::default().verify_password(password.as_bytes(), hash.as_str());
            drop(permit);
            outcome
        });
        verification.await?.map_err(|error| anyhow!("the password does not match: {error}"))
    }
}

fn now() -> i64 {
    Timestamp::now().unix_micros()
}

/// An unguessable id.
fn random() -> String {
    Uuid::new_v4().simple().to_string()
}

/// The `User-Agent` header.
fn agent(headers: &HeaderMap) -> Option<String> {
    headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The `ETag` header of a version.
fn etag(version: i64) -> (header::HeaderName, String) {
    (header::ETAG, format!("\"{version:x}\""))
}

#[derive(Deserialize)]
struct SignIn {
    username: String,
    password: String,
}

async fn sign_in(
    State(floor): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(credentials): Json<SignIn>,
) -> Result<Response> {
    let row = floor.store.read().await?.conn().one(BY_NAME, &[Arg::Text(&credentials.username)]).await?;
    let (user, epoch, public_id) = (row.get(0)?, row.get(1)?, row.get(2)?);
    floor.verify_password(credentials.password, row.get(3)?).await?;
    floor.store.read().await?.conn().all(SECOND_FACTOR, &[Arg::Int(user)]).await?;
    let jti = random();
    let new = NewSession {
        user,
        name: credentials.username,
        epoch,
        ip: peer.ip().to_string(),
        agent: agent(&headers),
        jti: jti.clone(),
        now: now(),
    };
    let rows = floor.store.write(Write::SignIn(new)).await?;
    let [session, account] = rows.as_slice() else { return Err(anyhow!("a sign-in must return two rows").into()) };
    let subject = Subject { user, public_id, session: session.get(0)?, generation: 0, jti };
    let response = SignedIn { tokens: TokenPair::issue(&subject)?, user: Account::read(account)? };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(response)).into_response())
}

#[derive(Deserialize)]
struct Refresh {
    refresh: String,
}

async fn refresh(State(floor): Shared, Json(input): Json<Refresh>) -> Result<Response> {
    let claims = Claims::read(&input.refresh)?;
    let next_jti = random();
    let (session, generation) = (claims.sid, claims.generation);
    let rotation = Rotation { session, generation, jti: claims.jti, next_jti: next_jti.clone(), now: now() };
    let rows = floor.store.write(Write::Refresh(rotation)).await?;
    let state = rows.first().context("a refresh must return one row")?;
    let subject =
        Subject { user: state.get(0)?, public_id: state.get(1)?, session, generation: generation + 1, jti: next_jti };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(TokenPair::issue(&subject)?)).into_response())
}

async fn me(State(floor): Shared, headers: HeaderMap) -> Result<Response> {
    let user = floor.caller(&headers).await?;
    let row = floor.store.read().await?.conn().one(responses::ACCOUNT, &[Arg::Int(user)]).await?;
    let headers = [etag(row.get(responses::ACCOUNT_VERSION)?), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((headers, Json(Account::read(&row)?)).into_response())
}

async fn users(State(floor): Shared, headers: HeaderMap, Query(params): Query<PageParams>) -> Result<Response> {
    floor.caller(&headers).await?;
    let mut reader = floor.store.read().await?;
    let mut conn = reader.conn();
    let active = Arg::Flag(true);
    let rows = conn.all(responses::USERS, &[active, Arg::Int(params.size()), Arg::Int(params.offset())]).await?;
    let count = params.count(rows.len(), &mut conn, COUNT_USERS, &[active, Arg::Int(MAX_COUNT + 1)]).await?;
    let users = rows.iter().map(User::read).collect::<sqlx::Result<Vec<_>>>()?;
    Ok(Json(params.page(&floor.url.join("/api/users/"), count, users)).into_response())
}

/// The query parameters of a list.
#[derive(Deserialize)]
struct PageParams {
    page: Option<i64>,
    page_size: Option<i64>,
}

impl PageParams {
    fn size(&self) -> i64 {
        self.page_size.unwrap_or(PAGE_SIZE)
    }

    fn number(&self) -> i64 {
        self.page.unwrap_or(1)
    }

    fn offset(&self) -> i64 {
        (self.number() - 1) * self.size()
    }

    /// The total count; it needs no query if the page is not full.
    async fn count(&self, shown: usize, conn: &mut Conn<'_>, sql: &'static str, args: &[Arg<'_>]) -> Result<i64> {
        let shown = i64::try_from(shown)?;
        if shown < self.size() {
            return Ok(self.offset() + shown);
        }
        Ok(conn.one(sql, args).await?.get(0)?)
    }

    fn page<T>(&self, url: &str, count: i64, results: Vec<T>) -> Page<T> {
        let (size, number) = (self.size(), self.number());
        let link = |number: i64| format!("{url}?page_size={size}&page={number}");
        Page {
            count: count.min(MAX_COUNT),
            count_capped: count > MAX_COUNT,
            next: (number * size < count).then(|| link(number + 1)),
            previous: (number > 1).then(|| link(number - 1)),
            results,
        }
    }
}
