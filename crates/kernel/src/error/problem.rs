use std::collections::BTreeMap;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Error;

/// A problem document (RFC 9457), the body of every 4xx and 5xx response.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` distinguishes the problems.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub kind: &'static str,
    /// The reason phrase of the status.
    #[schema(example = "Not Found")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    pub status: u16,
    /// An explanation for people.
    pub detail: String,
    /// A stable code for programs.
    #[schema(example = "not_found")]
    pub code: String,
    /// The id of the request, for support inquiries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// For invalid input: messages per field.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, Vec<String>>,
    /// Extension members that depend on the code.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extensions: Map<String, Value>,
    /// The `Retry-After` header, in seconds.
    #[serde(skip)]
    #[schema(ignore)]
    pub retry_after: Option<u64>,
}

impl Problem {
    fn response(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1: a 401 lists the accepted schemes.
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"api\""));
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Token realm=\"api\""));
        }
        let is_unavailable = status == StatusCode::SERVICE_UNAVAILABLE;
        if let Some(seconds) = self.retry_after.or(is_unavailable.then_some(1)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.response();
        // For a layer that adds the request id.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Problem {
    fn from(Error(error): Error) -> Self {
        let status = error.kind.status();
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: error.detail.into_owned(),
            code: error.code.into_owned(),
            request_id: None,
            errors: error.fields,
            extensions: error.extensions,
            // Rounded up: an earlier retry would fail again.
            retry_after: error
                .retry_after
                .map(|delay| u64::try_from(delay.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)),
        }
    }
}
