//! The middleware around all routes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, Uri, header, uri::PathAndQuery},
    middleware::{Next, from_fn, from_fn_with_state, map_response},
    response::{IntoResponse, Response},
};
use guildhall_files::FORM_BYTES;
use guildhall_kernel::{Error, Kind, Problem, PublicUrl, TrustedProxies, conditional};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::{AllowOrigin, CorsLayer},
    limit::RequestBodyLimitLayer,
    timeout::TimeoutLayer,
};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    concurrency::{ConcurrencyLimiter, limit_concurrency},
    metrics,
    settings::Settings,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The default Content-Security-Policy: responses that are not pages load nothing.
const DEFAULT_CSP: &str = "default-src 'none'; frame-ancestors 'none'";
/// Maximum length of a query string, in bytes.
const MAX_QUERY_BYTES: usize = 8 * 1024;
/// HSTS for one year.
const HSTS: &str = "max-age=31536000; includeSubDomains";

/// Adds the middleware to the routes. A request passes through the last layer first.
pub fn wrap(routes: Router, settings: &Settings, url: &PublicUrl) -> Router {
    // Loaded settings have been validated, so parsing succeeds.
    let proxies = Arc::new(TrustedProxies::parse(&settings.server.trusted_proxies).unwrap_or_default());
    let timeout = Duration::from_secs(settings.server.request_seconds.into());
    let with_hsts = url.is_https();
    // Uploads enforce their own limit. This one is a byte larger, so that their more specific error comes first.
    let max_body = settings.limits.upload_bytes.saturating_add(FORM_BYTES + 1).max(settings.limits.body_bytes);
    let concurrency =
        if settings.limits.enabled { settings.limits.requests_at_once } else { Semaphore::MAX_PERMITS >> 8 };
    with_optional_slash(routes)
        .layer(from_fn(limit_query))
        .layer(from_fn(conditional))
        .layer(DefaultBodyLimit::max(settings.limits.body_bytes))
        .layer(RequestBodyLimitLayer::new(max_body))
        .layer(from_fn_with_state(ConcurrencyLimiter::new(concurrency), limit_concurrency))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, timeout))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(cors(&settings.cors.origins))
        .layer(map_response(move |response| std::future::ready(add_security_headers(response, with_hsts))))
        .layer(from_fn_with_state(proxies, observe))
}

/// Makes the trailing slash optional without a redirect: a path that matches no route is tried again with its slash
/// added or removed.
fn with_optional_slash(routes: Router) -> Router {
    let routes = routes.route_layer(from_fn(record_route));
    let retry = routes.clone();
    routes.fallback(move |mut request: Request| async move {
        let Some(uri) = toggle_slash(request.uri()) else { return StatusCode::NOT_FOUND.into_response() };
        *request.uri_mut() = uri;
        let Ok(response) = retry.oneshot(request).await;
        response
    })
}

/// Rejects overlong query strings, which would make statements and pagination links as long.
async fn limit_query(request: Request, next: Next) -> Response {
    if request.uri().query().is_some_and(|query| query.len() > MAX_QUERY_BYTES) {
        let detail = format!("The query string must not be longer than {MAX_QUERY_BYTES} bytes.");
        return Error::new(Kind::Invalid, "query_too_long", detail).into_response();
    }
    next.run(request).await
}

fn toggle_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let path = match path.strip_suffix('/') {
        Some("") => return None,
        Some(stripped) => stripped.to_owned(),
        None => format!("{path}/"),
    };
    let target = uri.query().map(|query| format!("{path}?{query}")).unwrap_or(path);
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

/// Copies the matched route pattern to the response, for the outermost layer.
async fn record_route(matched: MatchedPath, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(matched);
    response
}

/// Assigns the request id, logs and counts the request, and makes sure that every error is a problem document.
async fn observe(State(proxies): State<Arc<TrustedProxies>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&request);
    let method = request.method().clone();
    let origin = proxies.origin(&request, Some(id.clone()));
    let span = tracing::info_span!("request", request.id = %id, user.id = tracing::field::Empty);
    async move {
        let response = origin.scope(next.run(request)).await;
        let mut response = into_problem(response, &id);
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        let matched = response.extensions().get::<MatchedPath>().cloned();
        let route = matched.as_ref().map(MatchedPath::as_str);
        let (status, duration) = (response.status(), started.elapsed());
        metrics::record_request(&method, route, status, duration);
        // The route pattern, because path and query may contain secrets.
        tracing::info!(
            %method,
            route = route.unwrap_or("none"),
            status = status.as_u16(),
            duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            "handled a request"
        );
        response
    }
    .instrument(span)
    .await
}

/// The request id sent by the client, if it is well formed, otherwise a new one.
fn request_id(request: &Request) -> String {
    let requested = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let well_formed = |id: &&str| {
        (1..=128).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    requested.filter(well_formed).map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned)
}

/// Turns every error response, including the framework's own, into a problem document with the request id.
fn into_problem(response: Response, id: &str) -> Response {
    let status = response.status();
    let described = response.extensions().get::<Problem>().cloned();
    let problem = match described {
        Some(problem) => problem,
        None if status.is_client_error() || status.is_server_error() => {
            let content_type = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
            let self_describing = [&b"application/json"[..], b"text/html; charset=utf-8"];
            if content_type.is_some_and(|value| self_describing.contains(&value)) {
                return response; // describes the error itself, like /readyz and the pages
            }
            let title = status.canonical_reason().unwrap_or("Error");
            Problem { status: status.as_u16(), title, ..Error::of_status(status).into() }
        }
        None => return response,
    };
    let (mut parts, _) = response.into_parts();
    let (described, body) = Problem { request_id: Some(id.to_owned()), ..problem }.into_response().into_parts();
    for name in [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::TRANSFER_ENCODING] {
        parts.headers.remove(name);
    }
    // Appended, because a header may occur several times (WWW-Authenticate).
    for name in described.headers.keys() {
        parts.headers.remove(name);
    }
    for (name, value) in &described.headers {
        parts.headers.append(name, value.clone());
    }
    Response::from_parts(parts, body)
}

fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Error::internal(format!("a handler panicked: {message}")).into_response()
}

/// CORS without credentials: tokens are sent in a header, never as cookies.
fn cors(origins: &[String]) -> CorsLayer {
    use axum::http::Method;

    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("x-organization"),
            REQUEST_ID,
        ])
        .expose_headers([
            header::ETAG,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            HeaderName::from_static("idempotent-replayed"),
            REQUEST_ID,
        ])
        .max_age(Duration::from_secs(600))
}

/// Adds the headers that the OWASP Secure Headers Project recommends for an API.
fn add_security_headers(mut response: Response, with_hsts: bool) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(DEFAULT_CSP));
    if with_hsts {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        routing::{get, post},
    };
    use guildhall_kernel::Json;

    use super::*;
    use crate::settings::Sources;

    fn settings() -> Settings {
        Settings::load(&Sources::default()).unwrap()
    }

    fn app() -> Router {
        let boom = async || -> String { panic!("boom with details") };
        let slow = || async { tokio::time::sleep(Duration::from_secs(60)).await };
        let echo = |Json(value): Json<serde_json::Value>| async { Json(value) };
        let routes = Router::new()
            .route("/boom/", get(boom))
            .route("/slow/", get(slow))
            .route("/echo/", post(echo))
            .route("/odd/", get(|| async { StatusCode::IM_A_TEAPOT }))
            .route("/plain", get(|| async { "plain" }));
        let mut settings = settings();
        settings.server.request_seconds = 1;
        settings.limits.body_bytes = 1000;
        settings.cors.origins = vec!["https://app.example".to_owned()];
        wrap(routes, &settings, &"https://example.org".parse().unwrap())
    }

    async fn send(request: Request) -> (u16, axum::http::HeaderMap, serde_json::Value) {
        let response = app().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1_000_000).await.unwrap();
        (parts.status.as_u16(), parts.headers, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    fn request(method: &str, path: &str, body: impl Into<Body>) -> Request {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        request.body(body.into()).unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_a_500_without_details() {
        let (status, headers, problem) = send(request("GET", "/boom/", "")).await;
        assert_eq!((status, &problem["code"]), (500, &"internal".into()));
        assert!(!problem.to_string().contains("boom"));
        assert_eq!(headers["x-request-id"], problem["request_id"].as_str().unwrap());
    }

    #[tokio::test]
    async fn slow_requests_time_out() {
        let (status, _, problem) = send(request("GET", "/slow/", "")).await;
        assert_eq!((status, &problem["code"]), (408, &"timeout".into()));
    }

    #[tokio::test]
    async fn errors_of_the_framework_are_problem_documents() {
        let large = format!("\"{}\"", "x".repeat(2000));
        for (method, path, body, expected) in [
            ("GET", "/nowhere", String::new(), (404, "not_found")),
            ("GET", "/", String::new(), (404, "not_found")),
            ("GET", "//", String::new(), (404, "not_found")),
            ("DELETE", "/echo/", String::new(), (405, "method_not_allowed")),
            ("DELETE", "/echo", String::new(), (405, "method_not_allowed")),
            ("POST", "/echo/", large, (413, "body_too_large")),
            ("POST", "/echo/", "{".to_owned(), (400, "parse_error")),
            ("GET", "/odd/", String::new(), (418, "bad_request")),
        ] {
            let (status, headers, problem) = send(request(method, path, body)).await;
            assert_eq!((status, problem["code"].as_str()), (expected.0, Some(expected.1)), "{method} {path}");
            assert_eq!(problem["status"], expected.0);
            assert_eq!(headers["content-type"], "application/problem+json");
            if status == 405 {
                assert_eq!(headers["allow"], "POST");
            }
        }
    }

    #[tokio::test]
    async fn fault_3_an_overlong_query_string_is_rejected() {
        let path = |length: usize| format!("/plain?x={}", "a".repeat(length));
        assert_eq!(send(request("GET", &path(MAX_QUERY_BYTES - 2), "")).await.0, 200);
        let (status, _, problem) = send(request("GET", &path(MAX_QUERY_BYTES), "")).await;
        assert_eq!((status, &problem["code"]), (400, &"query_too_long".into()));
    }

    #[tokio::test]
    async fn the_trailing_slash_is_optional() {
        for path in ["/echo/", "/echo", "/echo?x=1"] {
            let (status, _, body) = send(request("POST", path, "{}")).await;
            assert_eq!((status, body), (200, serde_json::json!({})), "{path}");
        }
        assert_eq!(send(request("GET", "/plain", "")).await.0, 200);
        assert_eq!(send(request("GET", "/plain/", "")).await.0, 200);
    }

    #[tokio::test]
    async fn well_formed_request_ids_are_accepted() {
        let with = |id: &str| {
            let request = Request::get("/plain").header("x-request-id", id);
            send(request.body(Body::empty()).unwrap())
        };
        assert_eq!(with("abc-1.2_3").await.1["x-request-id"], "abc-1.2_3");
        for bad in ["", "a b", "<x>", &"x".repeat(129)] {
            assert_ne!(with(bad).await.1["x-request-id"], bad);
        }
    }

    #[tokio::test]
    async fn every_response_has_the_security_headers() {
        for path in ["/plain", "/nowhere", "/boom/"] {
            let headers = send(request("GET", path, "")).await.1;
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["content-security-policy"], DEFAULT_CSP);
            assert_eq!(headers["x-frame-options"], "DENY");
            assert_eq!(headers["strict-transport-security"], HSTS);
        }
    }

    #[tokio::test]
    async fn only_configured_origins_are_allowed() {
        let from = |origin: &str| {
            let request = Request::builder().method("OPTIONS").uri("/echo/").header("origin", origin);
            let request = request.header("access-control-request-method", "POST");
            send(request.header("access-control-request-headers", "authorization").body(Body::empty()).unwrap())
        };
        let (status, headers, _) = from("https://app.example").await;
        assert_eq!((status, &headers["access-control-allow-origin"]), (200, &"https://app.example".parse().unwrap()));
        assert!(!headers.contains_key("access-control-allow-credentials"));
        let allowed = headers["access-control-allow-headers"].to_str().unwrap();
        for name in ["if-match", "if-none-match", "idempotency-key", "x-organization"] {
            assert!(allowed.split(',').any(|known| known == name), "{name}: {allowed}");
        }
        assert!(!from("https://evil.example").await.1.contains_key("access-control-allow-origin"));
    }
}
