//! Counters of requests and of the database, in Prometheus' format.

use std::{sync::OnceLock, time::Duration};

use axum::http::{Method, StatusCode};
use guildhall_kernel::Db;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

const REQUESTS: &str = "http_requests_total";
const DURATION: &str = "http_request_duration_seconds";
const STATEMENTS: &str = "db_statements_total";
const SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// How often histograms are folded together, so that they do not grow between two readings.
const UPKEEP: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Makes the recorder of this process, once.
pub(crate) fn install() {
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(&SECONDS).ok()?;
        let handle = builder.install_recorder().ok()?;
        metrics::describe_counter!(REQUESTS, "Requests answered, by method, route and status");
        metrics::describe_histogram!(DURATION, metrics::Unit::Seconds, "How long requests took, by method and route");
        metrics::describe_counter!(STATEMENTS, "Statements sent to the database");
        Some(handle)
    });
}

/// Looks after the recorder for as long as the server runs.
pub(crate) async fn keep_up() {
    loop {
        tokio::time::sleep(UPKEEP).await;
        if let Some(Some(handle)) = RECORDER.get() {
            handle.run_upkeep();
        }
    }
}

/// Notes a request. The labels are few: the route is the pattern and not the path.
pub(crate) fn note(method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
    let method = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let route = route.unwrap_or("none").to_owned();
    metrics::counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => status.as_u16().to_string())
        .increment(1);
    metrics::histogram!(DURATION, "method" => method, "route" => route).record(took);
}

/// Everything as text.
pub(crate) fn render(db: &Db) -> String {
    metrics::counter!(STATEMENTS).absolute(db.statements());
    RECORDER.get().and_then(Option::as_ref).map(PrometheusHandle::render).unwrap_or_default()
}
