use axum::{
    body::{Body, to_bytes},
    extract::{FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{Error, Json, Kind, Result, Timestamp};

/// The version of an object (RFC 9110 §8.8.3): the time of its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ETag(Timestamp);

impl From<Timestamp> for ETag {
    fn from(updated_at: Timestamp) -> Self {
        Self(updated_at)
    }
}

impl ETag {
    fn header(self) -> String {
        format!("\"{:x}\"", self.0.unix_micros())
    }
}

/// The versions in `If-Match` (RFC 9110 §13.1.1); without the header every version matches.
#[derive(Clone, Debug, Default)]
pub struct IfMatch(Option<String>);

impl IfMatch {
    /// Matches only this version.
    pub fn only(version: ETag) -> Self {
        Self(Some(version.header()))
    }

    /// Whether the request has the header.
    pub fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// 412 `stale` unless the current version matches.
    ///
    /// Call it inside the transaction that changes the object, on a row that was read with a lock
    /// (`lock_exclusive`), so that no concurrent change can happen in between on either database.
    pub fn check(&self, current: impl Into<ETag>) -> Result<()> {
        let Some(tags) = &self.0 else { return Ok(()) };
        let current = current.into().header();
        if tags.split(',').any(|tag| matches!(tag.trim(), tag if tag == "*" || version(tag) == version(&current))) {
            return Ok(());
        }
        Err(Error::new(Kind::PreconditionFailed, "stale", "The object has changed since you read it."))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let tags: Vec<_> = parts
            .headers
            .get_all(header::IF_MATCH)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        Ok(Self((!tags.is_empty()).then(|| tags.join(","))))
    }
}

/// The version in a tag, without the hash of the response.
fn version(tag: &str) -> &str {
    let tag = tag.trim_matches('"');
    tag.split_once('-').map_or(tag, |(version, _)| version)
}

/// Middleware that responds with 304 if the client has the current representation (RFC 9110 §13.1.2).
///
/// A response can change while the version of its object does not: it depends on the caller and on related objects. So
/// the `ETag` of a `GET` response is the version followed by a hash of the body.
pub async fn conditional(request: Request, next: Next) -> Response {
    let known_tags: Vec<HeaderValue> = request.headers().get_all(header::IF_NONE_MATCH).iter().cloned().collect();
    let is_get = request.method() == Method::GET;
    let response = next.run(request).await;
    if !is_get || response.status() != StatusCode::OK || !is_tagged_json(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return Error::internal(error).into_response(),
    };
    let tag = parts.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
    let hash = Sha256::digest(&body).iter().take(8).fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
    let tag = format!("\"{}-{hash}\"", version(tag));
    let contains_tag = |known: &HeaderValue| {
        let known = String::from_utf8_lossy(known.as_bytes()).into_owned();
        known.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    };
    let is_known = known_tags.iter().any(contains_tag);
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, value);
    }
    if !is_known {
        return Response::from_parts(parts, Body::from(body));
    }
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::empty())
}

fn is_tagged_json(headers: &HeaderMap) -> bool {
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == b"application/json");
    is_json && headers.contains_key(header::ETAG)
}

/// A JSON response with the `ETag` of its object.
#[derive(Clone, Copy, Debug)]
pub struct Tagged<T>(pub ETag, pub T);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.1).into_response();
        if let Ok(value) = HeaderValue::from_str(&self.0.header()) {
            response.headers_mut().insert(header::ETAG, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_matching_version_passes() {
        let now = Timestamp::from_unix_seconds(1);
        let known = ETag::from(now).header();
        assert!(IfMatch(None).check(now).is_ok());
        assert!(IfMatch(Some("*".into())).check(now).is_ok());
        assert!(IfMatch(Some(format!("\"0\", {known}"))).check(now).is_ok());
        let with_hash = format!("{}-0011223344556677\"", known.trim_end_matches('"'));
        assert!(IfMatch(Some(with_hash)).check(now).is_ok());
        let stale = IfMatch(Some("\"0\"".into())).check(now).unwrap_err();
        assert_eq!(stale.kind(), Kind::PreconditionFailed);
    }

    #[tokio::test]
    async fn an_unchanged_response_is_not_sent_again() {
        use std::sync::{
            Arc,
            atomic::{AtomicI64, Ordering},
        };

        use axum::{Router, middleware::from_fn, routing::get};
        use tower::ServiceExt;

        let name = Arc::new(AtomicI64::new(1));
        let current_name = name.clone();
        let handler = move || {
            let body = serde_json::json!({"name": current_name.load(Ordering::Relaxed)});
            async move { Tagged(Timestamp::from_unix_seconds(1).into(), body) }
        };
        let app = Router::new().route("/", get(handler.clone()).post(handler)).layer(from_fn(conditional));
        let send = async |method: Method, known: Option<&str>| {
            let mut request = Request::builder().method(method).uri("/");
            if let Some(known) = known {
                request = request.header("if-none-match", known);
            }
            let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let tag = response.headers()[header::ETAG].to_str().unwrap().to_owned();
            let status = response.status().as_u16();
            (status, tag, to_bytes(response.into_body(), 100).await.unwrap().len())
        };
        let (status, tag, length) = send(Method::GET, None).await;
        assert!(status == 200 && tag.contains('-') && length > 0);
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            assert_eq!(send(Method::GET, Some(&known)).await, (304, tag.clone(), 0), "{known}");
        }
        assert_eq!(send(Method::GET, Some("\"x\"")).await.0, 200);
        assert_eq!(send(Method::POST, Some("*")).await.0, 200, "only GET requests are conditional");
        // The version stays the same, but the body changes.
        name.store(2, Ordering::Relaxed);
        let (status, other, _) = send(Method::GET, Some(&tag)).await;
        assert_eq!((status, version(&other)), (200, version(&tag)));
        assert_ne!(other, tag);
    }
}
