//! Rendering, style and security headers of all pages.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use guildhall_kernel::Error;

/// The stylesheet of all pages.
pub(crate) const STYLE: &str = include_str!("../templates/style.css");
/// Allows our own stylesheet and forms to the same origin, nothing else.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page with a message and no form.
#[derive(Template)]
#[template(path = "notice.html")]
pub(crate) struct Notice<'a> {
    pub(crate) service: &'a str,
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
}

/// Renders a page with its status.
pub(crate) fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => Error::internal(error).into_response(),
    }
}

/// Adds the security headers. Pages are not cached, and their URLs are not sent to other sites: both may contain a
/// token.
pub(crate) async fn add_security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
