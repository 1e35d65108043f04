//! The route that serves files: `/files/…`.

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use guildhall_kernel::{Error, Kind, Path, Query, Result, routes};
use serde::Deserialize;
use utoipa::{IntoParams, openapi::OpenApi};
use utoipa_axum::router::OpenApiRouter;

use super::{
    FileId, Files,
    link::{Link, percent_encoded},
};

/// The media types that are displayed inline. Others are downloaded: uploaded content must never run on this origin.
const INLINE: [&str; 4] = ["image/jpeg", "image/png", "image/webp", "image/gif"];
/// If a browser displays a file nevertheless, it may not load or run anything.
const POLICY: &str = "default-src 'none'; sandbox";
/// The minimum validity of a URL. Only the client may cache the file.
const CACHING: &str = "private, max-age=1800, immutable";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The route, to be nested at the URL with which [`Files`] was opened.
pub fn router(files: Files) -> OpenApiRouter {
    routes().with_state(files)
}

/// The API description of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<Files> {
    OpenApiRouter::new().routes(routes!(file))
}

/// The query parameters of a signed URL.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Signature {
    /// Variant, if there are several.
    v: Option<String>,
    /// User for whom the URL was issued.
    u: Option<String>,
    /// Expiry, in Unix seconds.
    e: Option<String>,
    /// Signature.
    s: Option<String>,
}

/// Download a file from a signed URL. The URL is valid for at least half an hour and needs no authentication.
#[utoipa::path(get, path = "/files/{id}/{name}", tag = "files", security(()),
    responses((status = 200, content_type = "*/*", body = String)),
)]
async fn file(
    State(files): State<Files>,
    Path((id, name)): Path<(FileId, String)>,
    Query(signature): Query<Signature>,
) -> Result<Response> {
    let Signature { v, u, e, s } = signature;
    let not_signed = "Use the signed URL of the file as returned by the API.";
    let signature = s.ok_or_else(|| Error::new(Kind::Unauthenticated, "not_authenticated", not_signed))?;
    let (variant, viewer, expires) = (v.unwrap_or_default(), u.unwrap_or_default(), e.unwrap_or_default());
    let link = Link { id, variant: &variant, viewer: &viewer, expires: &expires, name: &name };
    let (row, content) = files.open_signed(&link, &signature).await?;

    let mut response = Response::new(content);
    let headers = response.headers_mut();
    let unknown = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&row.content_type).unwrap_or(unknown));
    if row.variants.is_empty() {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(row.size));
    }
    headers.insert(header::CONTENT_DISPOSITION, disposition(&row.content_type, &name));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHING));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    Ok(response)
}

/// Inline or download, with the file name (RFC 6266 §4.3).
fn disposition(content_type: &str, name: &str) -> HeaderValue {
    if INLINE.contains(&content_type) {
        return HeaderValue::from_static("inline");
    }
    let attachment = format!("attachment; filename*=UTF-8''{}", percent_encoded(name));
    HeaderValue::from_str(&attachment).unwrap_or(HeaderValue::from_static("attachment"))
}
