//! Request and database metrics in Prometheus format.

use std::{sync::OnceLock, time::Duration};

use axum::http::{Method, StatusCode};
use guildhall_kernel::Db;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

const REQUESTS: &str = "http_requests_total";
const DURATION: &str = "http_request_duration_seconds";
const STATEMENTS: &str = "db_statements_total";
const DURATION_BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// How often histograms are aggregated, so that they do not grow between two scrapes.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Installs the recorder of this process, once.
pub(crate) fn install() {
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(&DURATION_BUCKETS).ok()?;
        let handle = builder.install_recorder().ok()?;
        metrics::describe_counter!(REQUESTS, "Requests by method, route and status");
        metrics::describe_histogram!(DURATION, metrics::Unit::Seconds, "Request duration by method and route");
        metrics::describe_counter!(STATEMENTS, "Statements sent to the database");
        Some(handle)
    });
}

/// Maintains the recorder while the server runs.
pub(crate) async fn maintain() {
    loop {
        tokio::time::sleep(MAINTENANCE_INTERVAL).await;
        if let Some(Some(handle)) = RECORDER.get() {
            handle.run_upkeep();
        }
    }
}

/// Counts a request. The label is the route pattern and not the path, to keep the cardinality low.
pub(crate) fn record_request(method: &Method, route: Option<&str>, status: StatusCode, duration: Duration) {
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
    metrics::histogram!(DURATION, "method" => method, "route" => route).record(duration);
}

/// Renders all metrics as text.
pub(crate) fn render(db: &Db) -> String {
    metrics::counter!(STATEMENTS).absolute(db.statements());
    RECORDER.get().and_then(Option::as_ref).map(PrometheusHandle::render).unwrap_or_default()
}
