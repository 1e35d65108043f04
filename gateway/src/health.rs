//! Health checks and metrics.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{FromRef, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use guildhall_kernel::{Auth, Caller, Db, Error, Json, Kind, Result, routes};
use guildhall_realtime::Streams;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::{ToSchema, openapi::OpenApi};
use utoipa_axum::router::OpenApiRouter;

use crate::metrics;

/// A database that takes longer counts as down.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the result of a check is cached.
const CACHE_TTL: Duration = Duration::from_secs(1);

#[derive(Clone, FromRef)]
struct HealthState {
    db: Db,
    auth: Auth,
    streams: Streams,
    checks: Checks,
}

/// The cached result of the last check, because a check writes and the endpoint is public.
#[derive(Clone, Default)]
pub(crate) struct Checks(Arc<Mutex<Option<(Instant, DatabaseParts)>>>);

/// The state of the database and of its migrations.
pub(crate) type DatabaseParts = (&'static str, &'static str);

impl Checks {
    /// The state of the database and of its migrations.
    pub(crate) async fn database(&self, db: &Db) -> DatabaseParts {
        let mut last = self.0.lock().await;
        if let Some((checked, parts)) = &*last
            && checked.elapsed() < CACHE_TTL
        {
            return *parts;
        }
        let check = async {
            let status = db.migration_status(guildhall_migration::all).await?;
            db.check_writable().await?;
            Ok::<_, Error>(status)
        };
        let parts = match tokio::time::timeout(CHECK_TIMEOUT, check).await {
            Ok(Ok(status)) if status.iter().all(|(_, applied)| *applied) => ("ok", "ok"),
            Ok(Ok(_)) => ("ok", "pending"),
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot read or write the database");
                ("down", "unknown")
            }
            Err(_) => ("down", "unknown"),
        };
        *last = Some((Instant::now(), parts));
        parts
    }
}

pub(crate) fn router(db: Db, auth: Auth, streams: Streams, checks: Checks, with_metrics: bool) -> Router {
    let router = OpenApiRouter::new().routes(routes!(alive)).routes(routes!(ready));
    let router = if with_metrics { router.routes(routes!(metrics_for_staff)) } else { router };
    router.with_state(HealthState { db, auth, streams, checks }).into()
}

pub(crate) fn openapi() -> OpenApi {
    let router = OpenApiRouter::<HealthState>::new().routes(routes!(alive)).routes(routes!(ready));
    router.routes(routes!(metrics_for_staff)).into_openapi()
}

/// The process is up.
#[derive(Serialize, ToSchema)]
struct Alive {
    /// Always `ok`.
    status: &'static str,
}

/// Check whether the process is up.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()), responses((status = 200, body = Alive)))]
async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// Whether the server is ready to serve requests.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// `ok`, `degraded` or `down`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The state of each dependency.
    parts: Parts,
}

/// The dependencies of the server.
#[derive(Serialize, ToSchema)]
struct Parts {
    /// `ok`, or `down` if it cannot be read or written.
    #[schema(example = "ok")]
    database: &'static str,
    /// `ok`, `pending`, or `unknown` if the database is down.
    #[schema(example = "ok")]
    migrations: &'static str,
    /// `ok`, or `degraded` while other processes are not notified: their events arrive a second or two late.
    #[schema(example = "ok")]
    bus: &'static str,
}

/// Check whether the server is ready. 503 if the database cannot be reached or written, or migrations are pending; 200
/// `degraded` if other processes cannot be reached.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)),
)]
async fn ready(
    State(db): State<Db>,
    State(streams): State<Streams>,
    State(checks): State<Checks>,
) -> (StatusCode, Json<Readiness>) {
    let (database, migrations) = checks.database(&db).await;
    let bus = if streams.is_connected() { "ok" } else { "degraded" };
    let (code, status) = match (database, migrations) {
        ("ok", "ok") => (StatusCode::OK, bus),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "down"),
    };
    (code, Json(Readiness { status, parts: Parts { database, migrations, bus } }))
}

/// Read the metrics in Prometheus text format. Staff only. Not available here if `metrics.bind` is set.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, content_type = "text/plain", body = String)),
)]
async fn metrics_for_staff(State(db): State<Db>, caller: Caller) -> Result<Response> {
    if !caller.roles.is_staff() {
        return Err(Error::new(Kind::Forbidden, "not_staff", "Only staff may do this."));
    }
    Ok(metrics_page(&db))
}

/// The router of the separate metrics address.
pub(crate) fn metrics_router(db: Db) -> Router {
    Router::new().route("/metrics", get(|State(db): State<Db>| async move { metrics_page(&db) })).with_state(db)
}

fn metrics_page(db: &Db) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (headers, metrics::render(db)).into_response()
}
