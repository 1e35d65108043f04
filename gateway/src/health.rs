//! What operators and developers ask the server about itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{FromRef, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use guildhall_kernel::{Auth, Caller, Db, Error, Json, Kind, Problem, Result};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::{ToSchema, openapi::OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{document, metrics};

/// How long the database may take to answer before it counts as out of reach.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what was found is good.
const FRESH: Duration = Duration::from_secs(1);
/// What the pages of the API reference may load: only what this server serves. The styles that the
/// library puts into the page itself are the exception.
const DOCS_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                           object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Clone, FromRef)]
struct HealthState {
    db: Db,
    auth: Auth,
    checks: Checks,
}

/// What was found when it was last looked, and when: a look writes, and anybody may ask.
#[derive(Clone, Default)]
struct Checks(Arc<Mutex<Option<(Instant, Parts)>>>);

impl Checks {
    async fn parts(&self, db: &Db) -> Parts {
        let mut last = self.0.lock().await;
        if let Some((at, parts)) = &*last
            && at.elapsed() < FRESH
        {
            return parts.clone();
        }
        let look = async {
            let status = db.migration_status(guildhall_migration::all).await?;
            db.check_writable().await?;
            Ok::<_, Error>(status)
        };
        let parts = match tokio::time::timeout(PATIENCE, look).await {
            Ok(Ok(status)) if status.iter().all(|(_, applied)| *applied) => Parts { database: "ok", migrations: "ok" },
            Ok(Ok(_)) => Parts { database: "ok", migrations: "pending" },
            Ok(Err(error)) => {
                tracing::error!(%error, "the database cannot be read or written");
                Parts { database: "down", migrations: "unknown" }
            }
            Err(_) => Parts { database: "down", migrations: "unknown" },
        };
        *last = Some((Instant::now(), parts.clone()));
        parts
    }
}

pub(crate) fn router(db: Db, auth: Auth, with_metrics: bool) -> Router {
    let router = OpenApiRouter::new().routes(routes!(alive)).routes(routes!(ready));
    let router = if with_metrics { router.routes(routes!(metrics_for_staff)) } else { router };
    router.with_state(HealthState { db, auth, checks: Checks::default() }).into()
}

pub(crate) fn openapi() -> OpenApi {
    let router = OpenApiRouter::<HealthState>::new().routes(routes!(alive)).routes(routes!(ready));
    router.routes(routes!(metrics_for_staff)).into_openapi()
}

/// The API reference and, for now, what leads to it.
pub(crate) fn pages() -> Router {
    let look = Config::new(["/api/openapi.json"]).use_base_layout().deep_linking(true);
    let reference = SwaggerUi::new("/api/docs").url("/api/openapi.json", document()).config(look);
    Router::from(reference)
        .route_layer(axum::middleware::map_response(|mut response: Response| async {
            let policy = HeaderValue::from_static(DOCS_POLICY);
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            response
        }))
        .route("/", get(|| async { Redirect::to("/api/docs/") }))
}

/// That the process answers.
#[derive(Serialize, ToSchema)]
struct Alive {
    /// Always `ok`.
    status: &'static str,
}

/// Is the process up?
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()), responses((status = 200, body = Alive)))]
async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// Whether the server can do its work.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// `ok` or `down`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The parts that it needs.
    parts: Parts,
}

/// The parts that the server needs.
#[derive(Clone, Serialize, ToSchema)]
struct Parts {
    /// `ok`, or `down` while it cannot be read and written.
    #[schema(example = "ok")]
    database: &'static str,
    /// `ok`, `pending`, or `unknown` while the database is down.
    #[schema(example = "ok")]
    migrations: &'static str,
}

/// Can the server do its work? 503 while the database is out of reach, cannot be written, or lacks migrations.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()), responses(
    (status = 200, body = Readiness),
    (status = 503, body = Readiness),
))]
async fn ready(State(db): State<Db>, State(checks): State<Checks>) -> (StatusCode, Json<Readiness>) {
    let parts = checks.parts(&db).await;
    if parts.database == "ok" && parts.migrations == "ok" {
        return (StatusCode::OK, Json(Readiness { status: "ok", parts }));
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(Readiness { status: "down", parts }))
}

/// The metrics in Prometheus' text format, for staff. With `metrics.bind` they have an address of
/// their own, and are not here.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses(
    (status = 200, content_type = "text/plain", body = String),
    (status = "4XX", body = Problem),
))]
async fn metrics_for_staff(State(db): State<Db>, caller: Caller) -> Result<Response> {
    if !caller.roles.is_staff() {
        return Err(Error::new(Kind::Forbidden, "not_staff", "Only staff may do that."));
    }
    Ok(metrics_page(&db))
}

/// The metrics on an address of their own.
pub(crate) fn metrics_router(db: Db) -> Router {
    Router::new().route("/metrics", get(|State(db): State<Db>| async move { metrics_page(&db) })).with_state(db)
}

fn metrics_page(db: &Db) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (headers, metrics::render(db)).into_response()
}
