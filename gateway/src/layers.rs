//! What every request passes through on its way in, and every answer on its way out.

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
use guildhall_kernel::{Error, Kind, Problem, PublicUrl, TrustedProxies, conditional, file::FORM_BYTES};
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
    Settings, metrics,
    turns::{Turns, take_turn},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What a page that is none may load: nothing.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// The longest query string, in bytes.
const LONGEST_QUERY: usize = 8 * 1024;
/// A year, in which a browser does not even try without TLS.
const ONLY_TLS: &str = "max-age=31536000; includeSubDomains";

/// Puts the layers around the routes; the last one added is the first that a request meets.
pub fn wrap(routes: Router, settings: &Settings, url: &PublicUrl) -> Router {
    // Settings that were loaded hold networks only.
    let proxies = Arc::new(TrustedProxies::parse(&settings.server.trusted_proxies).unwrap_or_default());
    let patience = Duration::from_secs(settings.server.request_seconds.into());
    let only_tls = url.is_https();
    // Whatever takes a form with a file sees to its own limit. Beyond that by one byte, so that its refusal, which
    // knows what is too large, comes first.
    let largest = settings.limits.upload_bytes.saturating_add(FORM_BYTES + 1).max(settings.limits.body_bytes);
    let at_once = if settings.limits.enabled { settings.limits.requests_at_once } else { Semaphore::MAX_PERMITS >> 8 };
    both_spellings(routes)
        .layer(from_fn(limit_query))
        .layer(from_fn(conditional))
        .layer(DefaultBodyLimit::max(settings.limits.body_bytes))
        .layer(RequestBodyLimitLayer::new(largest))
        .layer(from_fn_with_state(Turns::new(at_once), take_turn))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, patience))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(cors(&settings.cors.origins))
        .layer(map_response(move |response| std::future::ready(secure(response, only_tls))))
        .layer(from_fn_with_state(proxies, answer))
}

/// Lets a path be written with and without a slash at its end, with no redirect: one that matches
/// nothing is tried once more in its other spelling.
fn both_spellings(routes: Router) -> Router {
    let routes = routes.route_layer(from_fn(tell_route));
    let other = routes.clone();
    routes.fallback(move |mut request: Request| async move {
        let Some(uri) = respelled(request.uri()) else { return StatusCode::NOT_FOUND.into_response() };
        *request.uri_mut() = uri;
        let Ok(response) = other.oneshot(request).await;
        response
    })
}

/// Refuses what no form and no link of ours would send: statements and links grow with it.
async fn limit_query(request: Request, next: Next) -> Response {
    if request.uri().query().is_some_and(|query| query.len() > LONGEST_QUERY) {
        let detail = format!("The query string is longer than {LONGEST_QUERY} bytes.");
        return Error::new(Kind::Invalid, "query_too_long", detail).into_response();
    }
    next.run(request).await
}

fn respelled(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let path = match path.strip_suffix('/') {
        Some("") => return None,
        Some(without) => without.to_owned(),
        None => format!("{path}/"),
    };
    let target = uri.query().map(|query| format!("{path}?{query}")).unwrap_or(path);
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

/// Leaves the pattern that matched where the outermost layer finds it.
async fn tell_route(matched: MatchedPath, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(matched);
    response
}

/// Gives the request its id, and the answer to it; notes both in the log and the metrics; sees to it
/// that every refusal is a problem document.
async fn answer(State(proxies): State<Arc<TrustedProxies>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(&request);
    let method = request.method().clone();
    let origin = proxies.origin(&request, Some(id.clone()));
    let span = tracing::info_span!("request", request.id = %id, user.id = tracing::field::Empty);
    async move {
        let response = origin.scope(next.run(request)).await;
        let mut response = describe(response, &id);
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        let matched = response.extensions().get::<MatchedPath>().cloned();
        let route = matched.as_ref().map(MatchedPath::as_str);
        let (status, took) = (response.status(), begun.elapsed());
        metrics::note(&method, route, status, took);
        // The pattern and not the path, never the query: both can hold what is secret.
        tracing::info!(
            %method,
            route = route.unwrap_or("none"),
            status = status.as_u16(),
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "answered a request"
        );
        response
    }
    .instrument(span)
    .await
}

/// The id that the client gave the request, if it is well formed, else a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let well_formed = |id: &&str| {
        (1..=128).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    given.filter(well_formed).map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned)
}

/// Makes a problem document of every refusal, the framework's own included, with the request's id.
fn describe(response: Response, id: &str) -> Response {
    let status = response.status();
    let described = response.extensions().get::<Problem>().cloned();
    let problem = match described {
        Some(problem) => problem,
        None if status.is_client_error() || status.is_server_error() => {
            let content_type = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
            let own_words = [&b"application/json"[..], b"text/html; charset=utf-8"];
            if content_type.is_some_and(|value| own_words.contains(&value)) {
                return response; // it says itself what is wrong, as /readyz and pages do
            }
            let title = status.canonical_reason().unwrap_or("Error");
            Problem { status: status.as_u16(), title, ..undescribed(status).into() }
        }
        None => return response,
    };
    let (mut parts, _) = response.into_parts();
    let (described, body) = Problem { request_id: Some(id.to_owned()), ..problem }.into_response().into_parts();
    for name in [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::TRANSFER_ENCODING] {
        parts.headers.remove(name);
    }
    // Several headers of one name (WWW-Authenticate) stay several.
    for name in described.headers.keys() {
        parts.headers.remove(name);
    }
    for (name, value) in &described.headers {
        parts.headers.append(name, value.clone());
    }
    Response::from_parts(parts, body)
}

/// The problem of a status that came without one.
fn undescribed(status: StatusCode) -> Error {
    match status {
        StatusCode::NOT_FOUND => Error::new(Kind::NotFound, "not_found", "There is nothing at this address."),
        StatusCode::METHOD_NOT_ALLOWED => {
            Error::new(Kind::MethodNotAllowed, "method_not_allowed", "This address does not take this method.")
        }
        StatusCode::REQUEST_TIMEOUT => Error::new(Kind::Timeout, "timeout", "The request took too long."),
        StatusCode::PAYLOAD_TOO_LARGE => {
            Error::new(Kind::TooLarge, "body_too_large", "The body is larger than the limit.")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Error::new(Kind::UnsupportedMediaType, "unsupported_media_type", "The body is of a type that is not taken.")
        }
        status if status.is_client_error() => {
            Error::new(Kind::Invalid, "bad_request", "The request does not make sense.")
        }
        status => {
            tracing::error!(%status, "a part of the server refused without saying why");
            Error::internal("a part of the server refused without saying why")
        }
    }
}

fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Error::internal(format!("a handler panicked: {message}")).into_response()
}

/// Tokens travel in a header, cookies never: no origin is ever let in with credentials.
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

/// The headers that the OWASP Secure Headers Project asks of an API.
fn secure(mut response: Response, only_tls: bool) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    if only_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(ONLY_TLS));
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

    fn settings() -> Settings {
        Settings::load(&crate::settings::Sources::default()).unwrap()
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
    async fn a_panic_is_a_500_that_tells_nothing() {
        let (status, headers, problem) = send(request("GET", "/boom/", "")).await;
        assert_eq!((status, &problem["code"]), (500, &"internal".into()));
        assert!(!problem.to_string().contains("boom"));
        assert_eq!(headers["x-request-id"], problem["request_id"].as_str().unwrap());
    }

    #[tokio::test]
    async fn a_request_that_takes_too_long_is_ended() {
        let (status, _, problem) = send(request("GET", "/slow/", "")).await;
        assert_eq!((status, &problem["code"]), (408, &"timeout".into()));
    }

    #[tokio::test]
    async fn what_the_framework_refuses_is_a_problem_too() {
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
    async fn fault_3_a_query_string_that_is_too_long_is_refused() {
        let path = |length: usize| format!("/plain?x={}", "a".repeat(length));
        assert_eq!(send(request("GET", &path(LONGEST_QUERY - 2), "")).await.0, 200);
        let (status, _, problem) = send(request("GET", &path(LONGEST_QUERY), "")).await;
        assert_eq!((status, &problem["code"]), (400, &"query_too_long".into()));
    }

    #[tokio::test]
    async fn both_spellings_reach_the_same_handler_without_a_redirect() {
        for path in ["/echo/", "/echo", "/echo?x=1"] {
            let (status, _, body) = send(request("POST", path, "{}")).await;
            assert_eq!((status, body), (200, serde_json::json!({})), "{path}");
        }
        assert_eq!(send(request("GET", "/plain", "")).await.0, 200);
        assert_eq!(send(request("GET", "/plain/", "")).await.0, 200);
    }

    #[tokio::test]
    async fn a_well_formed_request_id_is_taken_over() {
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
    async fn every_answer_carries_the_security_headers() {
        for path in ["/plain", "/nowhere", "/boom/"] {
            let headers = send(request("GET", path, "")).await.1;
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["content-security-policy"], POLICY);
            assert_eq!(headers["x-frame-options"], "DENY");
            assert_eq!(headers["strict-transport-security"], ONLY_TLS);
        }
    }

    #[tokio::test]
    async fn only_the_origins_of_the_settings_are_let_in() {
        let from = |origin: &str| {
            let request = Request::builder().method("OPTIONS").uri("/echo/").header("origin", origin);
            let request = request.header("access-control-request-method", "POST");
            send(request.header("access-control-request-headers", "authorization").body(Body::empty()).unwrap())
        };
        let (status, headers, _) = from("https://app.example").await;
        assert_eq!((status, &headers["access-control-allow-origin"]), (200, &"https://app.example".parse().unwrap()));
        assert!(!headers.contains_key("access-control-allow-credentials"));
        let let_through = headers["access-control-allow-headers"].to_str().unwrap();
        for name in ["if-match", "if-none-match", "idempotency-key", "x-organization"] {
            assert!(let_through.split(',').any(|known| known == name), "{name}: {let_through}");
        }
        assert!(!from("https://evil.example").await.1.contains_key("access-control-allow-origin"));
    }
}
