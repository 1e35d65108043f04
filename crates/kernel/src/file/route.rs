//! The route of the files, as `/files/…`.

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use serde::Deserialize;
use utoipa::{IntoParams, openapi::OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    FileId, Files,
    link::{Link, percent_encoded},
};
use crate::{Error, Kind, Path, Problem, Query, Result};

/// What a browser shows within a page. All else it saves: what people upload must never run here.
const SHOWN: [&str; 4] = ["image/jpeg", "image/png", "image/webp", "image/gif"];
/// If a browser opens it nevertheless, it may load nothing and run nothing.
const POLICY: &str = "default-src 'none'; sandbox";
/// As long as an address is good for at least. Whoever has it may keep it for themselves.
const CACHING: &str = "private, max-age=1800, immutable";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The route, to be nested where [`Files`] was told.
pub fn router(files: Files) -> OpenApiRouter {
    routes().with_state(files)
}

/// The description of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<Files> {
    OpenApiRouter::new().routes(routes!(file))
}

/// What makes an address good, beside its path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Signature {
    /// Which variant, where there are several.
    v: Option<String>,
    /// Whom the address was given to.
    u: Option<String>,
    /// Until when it is good, in Unix seconds.
    e: Option<String>,
    /// The signature of all that.
    s: Option<String>,
}

/// A file, at an address that the API has given out. It is good for half an hour at least, without signing in.
#[utoipa::path(get, path = "/files/{id}/{name}", tag = "files", security(()),
    params(("id" = i64, Path), ("name" = String, Path), Signature),
    responses(
        (status = 200, content_type = "*/*", body = String),
        (status = "4XX", body = Problem),
    ),
)]
async fn file(
    State(files): State<Files>,
    Path((id, name)): Path<(FileId, String)>,
    Query(signature): Query<Signature>,
) -> Result<Response> {
    let Signature { v, u, e, s } = signature;
    let not_signed = "Files are read at the addresses that the API gives out.";
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

/// Shown or saved, and under which name (RFC 6266 §4.3).
fn disposition(content_type: &str, name: &str) -> HeaderValue {
    if SHOWN.contains(&content_type) {
        return HeaderValue::from_static("inline");
    }
    let saved = format!("attachment; filename*=UTF-8''{}", percent_encoded(name));
    HeaderValue::from_str(&saved).unwrap_or(HeaderValue::from_static("attachment"))
}
