//! The response with the content of a file.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::Response,
};

use crate::{entity::file, link::percent_encoded};

/// The media types that are displayed inline. Others are downloaded: uploaded content must never run on this origin.
const INLINE: [&str; 4] = ["image/jpeg", "image/png", "image/webp", "image/gif"];
/// If a browser displays a file nevertheless, it may not load or run anything.
const POLICY: &str = "default-src 'none'; sandbox";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Who may cache a file, and for how long.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caching {
    /// Only the client, for the minimum validity of a URL.
    Private,
    /// Everybody, for a day: the content of a file never changes, but the file may be deleted.
    Public,
}

impl Caching {
    fn header(self) -> &'static str {
        match self {
            Self::Private => "private, max-age=1800, immutable",
            Self::Public => "public, max-age=86400, immutable",
        }
    }
}

/// The response with the content of a file, to be saved under this name.
pub(crate) fn response(row: &file::Model, content: Body, name: &str, caching: Caching) -> Response {
    let mut response = Response::new(content);
    let headers = response.headers_mut();
    let unknown = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&row.content_type).unwrap_or(unknown));
    if row.variants.is_empty() {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(row.size));
    }
    headers.insert(header::CONTENT_DISPOSITION, disposition(&row.content_type, name));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching.header()));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    response
}

/// Inline or download, with the file name (RFC 6266 §4.3).
fn disposition(content_type: &str, name: &str) -> HeaderValue {
    if INLINE.contains(&content_type) {
        return HeaderValue::from_static("inline");
    }
    let attachment = format!("attachment; filename*=UTF-8''{}", percent_encoded(name));
    HeaderValue::from_str(&attachment).unwrap_or(HeaderValue::from_static("attachment"))
}
