//! The route that serves files: `/files/…`.

use axum::{extract::State, response::Response};
use guildhall_kernel::{Path, Query, Result, routes};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{files::Files, id::FileId, link::Signature};

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

/// Download a file from a signed URL, which needs no authentication. The URL is valid for at least half an hour; that of
/// a user's picture does not expire.
#[utoipa::path(get, path = "/files/{id}/{name}", tag = "files", security(()),
    responses((status = 200, content_type = "*/*", body = String)),
)]
async fn file(
    State(files): State<Files>,
    Path((id, name)): Path<(FileId, String)>,
    Query(signature): Query<Signature>,
) -> Result<Response> {
    files.serve(id, &name, &signature).await
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
    async fn a_permanent_url_is_valid_as_long_as_the_file_and_may_be_cached_by_everybody() {
        let kit = Kit::new().await;
        let id = kit.add(picture()).await;
        let url = kit.files.permanent_url(id, Some("small"), "me");
        kit.advance(1000 * HOUR);
        assert_eq!(kit.files.permanent_url(id, Some("small"), "me"), url);
        let answer = kit.get(&url).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "tiny"));
        assert_eq!(answer.headers["cache-control"], "public, max-age=86400, immutable");
        let (unsigned, signature) = url.split_once("s=").unwrap();
        let with_viewer = format!("{unsigned}u=7&s={signature}");
        assert_eq!(kit.get(&with_viewer).await.status, 200, "the viewer of a permanent URL is ignored");
        for other in [
            url.replace("small", "large"),
            url.replace(&format!("/{id}/"), &format!("/{}/", id.0 + 1)),
            url.replace("/me?", "/you?"),
            format!("{unsigned}e=9999999999&s={signature}"),
        ] {
            assert_eq!(kit.get(&other).await.code(), "file_not_found", "{other}");
        }
        assert_eq!(kit.get(unsigned).await.code(), "not_authenticated");
        // The signature of a URL that expires is none for one that does not.
        let expiring = kit.files.url(id, Some("small"), "me", None);
        let (start, end) = expiring.split_once("e=").unwrap();
        let without_expiry = format!("{start}{}", end.split_once('&').unwrap().1);
        assert_eq!(kit.get(&without_expiry).await.code(), "file_not_found");
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
        let medium = kit.get(&kit.files.url(id, Some("medium"), "me.png", None)).await;
        assert_eq!(medium.text, "huge and fine", "it was stored without this size");
        for variant in [None, Some("tiny")] {
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
