//! What all pages have in common.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use guildhall_kernel::Error;

/// How the pages look.
pub(crate) const STYLE: &str = include_str!("../templates/style.css");
/// Nothing but our own style, and forms that go back to where they came from.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// How something went.
#[derive(Template)]
#[template(path = "notice.html")]
pub(crate) struct Notice<'a> {
    pub(crate) service: &'a str,
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
}

/// A page, with its status.
pub(crate) fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => Error::internal(error).into_response(),
    }
}

/// A page may hold a token: nobody keeps a copy.
pub(crate) async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
