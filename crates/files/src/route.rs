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

use crate::{
    files::Files,
    id::FileId,
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

#[cfg(test)]
mod tests {
    use guildhall_kernel::UserId;

    use crate::testing::{ANNA, HOUR, Kit, MOUNT, picture, text};

    #[tokio::test]
    async fn a_file_can_be_read_at_its_url_until_that_expires() {
        let kit = Kit::new().await;
        let stored = kit.files.store(ANNA, text("hello")).await.unwrap();
        assert_eq!((stored.content_type(), stored.size()), ("text/plain", 5));
        let id = kit.attach(&stored).await.unwrap();
        let url = kit.files.url(id, None, "notes.txt", Some(UserId(7)));
        assert!(url.starts_with(&format!("{MOUNT}/files/{id}/notes.txt?u=7&e=1800003600&s=")), "{url}");
        let answer = kit.get(&url).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "hello"));
        for (name, value) in [
            ("content-type", "text/plain"),
            ("content-length", "5"),
            ("content-disposition", "attachment; filename*=UTF-8''notes.txt"),
            ("cache-control", "private, max-age=1800, immutable"),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("cross-origin-resource-policy", "cross-origin"),
        ] {
            assert_eq!(answer.headers[name], value, "{name}");
        }
        kit.advance(HOUR - 101);
        assert_eq!(kit.get(&url).await.status, 200);
        kit.advance(1);
        let expired = kit.get(&url).await;
        assert_eq!((expired.status.as_u16(), expired.code().as_str()), (404, "file_not_found"));
    }

    #[tokio::test]
    async fn the_variants_of_an_image_have_separate_urls_and_are_displayed_inline() {
        let kit = Kit::new().await;
        let id = kit.add(picture()).await;
        for (variant, content) in [("small", "tiny"), ("large", "huge and fine")] {
            let answer = kit.get(&kit.files.url(id, Some(variant), "me.png", None)).await;
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, content));
            assert_eq!(answer.headers["content-type"], "image/png");
            assert_eq!(answer.headers["content-disposition"], "inline");
        }
        for variant in [None, Some("medium")] {
            assert_eq!(kit.get(&kit.files.url(id, variant, "me.png", None)).await.code(), "file_not_found");
        }
    }

    #[tokio::test]
    async fn any_file_name_is_preserved() {
        let kit = Kit::new().await;
        let id = kit.add(text("hello")).await;
        let answer = kit.get(&kit.files.url(id, None, "Grüße & 100%?/#.txt", None)).await;
        assert_eq!(answer.status, 200);
        let saved = "attachment; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%26%20100%25%3F%2F%23.txt";
        assert_eq!(answer.headers["content-disposition"], saved);
        for name in ["", ".", ".."] {
            let url = kit.files.url(id, None, name, None);
            assert!(url.contains("/file?"), "{url}");
            assert_eq!(kit.get(&url).await.status, 200);
        }
    }
}
