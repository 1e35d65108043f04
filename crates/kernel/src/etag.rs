use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{Error, Json, Kind, Result, Timestamp};

/// The version of something that can be changed (RFC 9110 §8.8.3): the moment of its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ETag(Timestamp);

impl From<Timestamp> for ETag {
    fn from(changed: Timestamp) -> Self {
        Self(changed)
    }
}

impl ETag {
    fn header(self) -> String {
        format!("\"{:x}\"", self.0.unix_micros())
    }
}

/// The versions that the client knows, from `If-Match` (RFC 9110 §13.1.1); without the header
/// every version will do.
#[derive(Clone, Debug, Default)]
pub struct IfMatch(Option<String>);

impl IfMatch {
    /// Only this version will do.
    pub fn only(version: ETag) -> Self {
        Self(Some(version.header()))
    }

    /// Does the client say which version it knows?
    pub fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// Goes on only if the current version is one that the client knows; otherwise 412 `stale`.
    ///
    /// Called inside the transaction that changes the object, on a row that was read with a lock
    /// (`lock_exclusive`), so that nothing comes between on either database.
    pub fn check(&self, current: impl Into<ETag>) -> Result<()> {
        let Some(known) = &self.0 else { return Ok(()) };
        let current = current.into().header();
        if known.split(',').any(|tag| matches!(tag.trim(), tag if tag == "*" || tag == current)) {
            return Ok(());
        }
        Err(Error::new(Kind::PreconditionFailed, "stale", "It has changed since you read it."))
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

/// A JSON answer with the `ETag` of what it shows.
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
    fn only_a_known_version_passes() {
        let now = Timestamp::from_unix_seconds(1);
        let known = ETag::from(now).header();
        assert!(IfMatch(None).check(now).is_ok());
        assert!(IfMatch(Some("*".into())).check(now).is_ok());
        assert!(IfMatch(Some(format!("\"0\", {known}"))).check(now).is_ok());
        let stale = IfMatch(Some("\"0\"".into())).check(now).unwrap_err();
        assert_eq!(stale.kind(), Kind::PreconditionFailed);
    }
}
