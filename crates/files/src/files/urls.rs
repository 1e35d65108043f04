//! Signed URLs of files.

use std::io;

use axum::{body::Body, response::Response};
use guildhall_kernel::{Error, Kind, Result, UserId};
use sea_orm::EntityTrait;

use super::{Files, Shared};
use crate::{
    entity::file,
    id::FileId,
    link::{Link, Signature, percent_encoded},
    response::{Caching, response},
    store::object_name,
    upload::{LARGE, MEDIUM},
};

/// How long, in seconds, a URL stays the same; after that it remains valid for as long again.
const STEP: i64 = 1800;

fn not_found() -> Error {
    Error::new(Kind::NotFound, "file_not_found", "The file does not exist, or its URL has expired.")
}

fn not_signed() -> Error {
    Error::new(Kind::Unauthenticated, "not_authenticated", "Use the signed URL of the file as returned by the API.")
}

/// The signed parts of a URL that never expires. No other URL lacks an expiry.
fn permanent<'a>(id: FileId, variant: &'a str, name: &'a str) -> Link<'a> {
    Link { scope: "", id: id.0, variant, viewer: "", expires: "", name }
}

/// A file name as a segment of a URL. Browsers resolve some names as path segments, even when percent-encoded.
fn segment(name: &str) -> &str {
    if matches!(name, "" | "." | "..") { "file" } else { name }
}

impl Files {
    /// A signed URL of a file for a user who may see it, valid for 30 to 60 minutes. It needs no authentication, so
    /// that pages can embed pictures, and stays the same for half an hour, so that it can be cached. `name` is the
    /// file name for downloads.
    pub fn url(&self, id: FileId, variant: Option<&str>, name: &str, viewer: Option<UserId>) -> String {
        self.mount.join(&format!("/files/{}", self.sign("", id.0, variant, name, viewer)))
    }

    /// A signed URL of a file that anyone who knows the URL may see, such as the picture of a user. It is valid as long
    /// as the file exists, and always the same, so that it can be stored and cached.
    pub fn permanent_url(&self, id: FileId, variant: Option<&str>, name: &str) -> String {
        let (variant, name) = (variant.unwrap_or_default(), segment(name));
        let signature = self.shared.signer.sign(&permanent(id, variant, name));
        let variant = if variant.is_empty() { String::new() } else { format!("v={}&", percent_encoded(variant)) };
        self.mount.join(&format!("/files/{id}/{}?{variant}s={signature}", percent_encoded(name)))
    }

    /// The end of a signed URL of a route of another crate, `5/notes.txt?u=7&e=…&s=…`, valid as long as [`url`](Self::url).
    /// The route serves the file with [`respond`](Self::respond), after it has checked that the
    /// [`viewer`](Self::viewer) may still read it. `scope` names what the id identifies, and is not empty.
    pub fn signed_path(&self, scope: &str, id: i64, variant: Option<&str>, name: &str, viewer: UserId) -> String {
        self.sign(scope, id, variant, name, Some(viewer))
    }

    /// Like [`signed_path`](Self::signed_path), without a signature: the route has to authenticate the user.
    pub fn unsigned_path(id: i64, variant: Option<&str>, name: &str) -> String {
        let query = variant.map(|variant| format!("?v={}", percent_encoded(variant))).unwrap_or_default();
        format!("{id}/{}{query}", percent_encoded(segment(name)))
    }

    /// The user for whom a URL that ends with a [`signed_path`](Self::signed_path) was issued. 401 if it is not signed,
    /// 404 if the signature is invalid or has expired.
    pub fn viewer(&self, scope: &str, id: i64, name: &str, signature: &Signature) -> Result<UserId> {
        self.verify(scope, id, name, signature)?;
        signature.viewer().parse().map(UserId).map_err(|_| not_found())
    }

    /// The response with the content of a file, for a user who may read it. `variant` is empty for a single object.
    /// 404 if there is no such file or variant.
    pub async fn respond(&self, id: FileId, variant: &str, name: &str) -> Result<Response> {
        let (row, content) = self.open_content(id, variant).await?;
        Ok(response(&row, content, name, Caching::Private))
    }

    /// The response to a URL of [`router`](crate::router).
    pub(crate) async fn serve(&self, id: FileId, name: &str, signature: &Signature) -> Result<Response> {
        let is_permanent = signature.expires().is_empty();
        if is_permanent {
            let signed = signature.signature().ok_or_else(not_signed)?;
            if !self.shared.signer.has_signed(&permanent(id, signature.variant(), name), signed) {
                return Err(not_found());
            }
        } else {
            self.verify("", id.0, name, signature)?;
        }
        let caching = if is_permanent { Caching::Public } else { Caching::Private };
        let (row, content) = self.open_content(id, signature.variant()).await?;
        Ok(response(&row, content, name, caching))
    }

    fn sign(&self, scope: &str, id: i64, variant: Option<&str>, name: &str, viewer: Option<UserId>) -> String {
        let name = segment(name);
        let expires = (self.shared.clock.now().unix_seconds().div_euclid(STEP) + 2) * STEP;
        let (expires, viewer) = (expires.to_string(), viewer.map(|viewer| viewer.to_string()));
        let (variant, viewer) = (variant.unwrap_or_default(), viewer.unwrap_or_default());
        let link = Link { scope, id, variant, viewer: &viewer, expires: &expires, name };
        let signature = self.shared.signer.sign(&link);
        let mut query = String::new();
        for (key, value) in [("v", variant), ("u", viewer.as_str()), ("e", expires.as_str())] {
            if !value.is_empty() {
                query = format!("{query}{key}={}&", percent_encoded(value));
            }
        }
        format!("{id}/{}?{query}s={signature}", percent_encoded(name))
    }

    /// Verifies the signature of a URL.
    fn verify(&self, scope: &str, id: i64, name: &str, signature: &Signature) -> Result<()> {
        let signed = signature.signature().ok_or_else(not_signed)?;
        let (variant, viewer, expires) = (signature.variant(), signature.viewer(), signature.expires());
        let link = Link { scope, id, variant, viewer, expires, name };
        let until = expires.parse::<i64>().unwrap_or_default();
        let is_valid = self.shared.signer.has_signed(&link, signed) && until > self.shared.clock.now().unix_seconds();
        if is_valid { Ok(()) } else { Err(not_found()) }
    }

    async fn open_content(&self, id: FileId, variant: &str) -> Result<(file::Model, Body)> {
        let Shared { db, store, .. } = &*self.shared;
        let row = file::Entity::find_by_id(id).one(db.conn()).await?.ok_or_else(not_found)?;
        let has = |variant| row.variants.split(',').any(|one| one == variant);
        let variant = if variant == MEDIUM && !has(MEDIUM) { LARGE } else { variant };
        if !has(variant) {
            return Err(not_found());
        }
        match store.get(&object_name(&row.key, variant)).await {
            Ok(content) => Ok((row, content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::error!(file.id = %row.id, "a file is missing from the store");
                Err(not_found())
            }
            Err(error) => Err(Error::unavailable(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ANNA, HOUR, Kit, picture, text};

    #[tokio::test]
    async fn a_url_stays_the_same_for_a_while_and_is_valid_for_at_least_half_an_hour() {
        let kit = Kit::new().await;
        let id = kit.add(text("hello")).await;
        let url = || kit.files.url(id, None, "a", None);
        let first = url();
        kit.advance(1699);
        let last = url();
        assert_eq!(first, last);
        kit.advance(1);
        assert_ne!(url(), first);
        kit.advance(1799);
        assert_eq!(kit.get(&last).await.status, 200);
    }

    #[tokio::test]
    async fn a_url_is_valid_only_for_its_file_variant_and_user() {
        let kit = Kit::new().await;
        let (one, other) = (kit.add(picture()).await, kit.add(picture()).await);
        let url = kit.files.url(one, Some("small"), "me.png", Some(UserId(7)));
        assert_eq!(kit.get(&url).await.status, 200);
        let (signed, signature) = url.split_once("&s=").unwrap();
        for changed in [
            url.replace(&format!("/files/{one}/"), &format!("/files/{other}/")),
            url.replace(&format!("/files/{one}/"), "/files/999/"),
            url.replace("v=small", "v=large"),
            url.replace("v=small&", ""),
            url.replace("u=7", "u=8"),
            url.replace("u=7&", ""),
            url.replace("e=1800003600", "e=1800007200"),
            url.replace("e=1800003600&", ""),
            url.replace("e=1800003600", "e=never"),
            url.replace("me.png", "me.html"),
            format!("{signed}&s="),
            format!("{signed}&s={}", &signature[..4]),
            format!("{signed}&s={}", "A".repeat(22)),
            format!("{signed}&s=%C3%BC"),
        ] {
            assert_ne!(changed, url);
            let answer = kit.get(&changed).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "file_not_found"), "{changed}");
        }
        let unsigned = kit.get(url.split_once('?').unwrap().0).await;
        assert_eq!((unsigned.status.as_u16(), unsigned.code().as_str()), (401, "not_authenticated"));
    }

    #[tokio::test]
    async fn urls_of_another_installation_are_invalid() {
        let (kit, other) = (Kit::new().await, Kit::new().await);
        let (id, same_id) = (kit.add(text("hello")).await, other.add(text("hello")).await);
        assert_eq!(id, same_id);
        assert_eq!(other.get(&kit.files.url(id, None, "a", None)).await.code(), "file_not_found");
        let moved = kit.files.mounted_at("https://example.com/x".parse().unwrap());
        assert!(moved.url(id, None, "a", None).starts_with("https://example.com/x/files/"));
    }

    #[tokio::test]
    async fn a_broken_store_is_unavailable_and_a_missing_object_is_not_found() {
        let kit = Kit::new().await;
        let id = kit.add(text("hello")).await;
        let url = kit.files.url(id, None, "a", None);
        kit.store.set_broken(true);
        assert_eq!(kit.get(&url).await.status, 503);
        assert_eq!(kit.files.store(ANNA, text("hello")).await.unwrap_err().kind(), Kind::Unavailable);
        kit.store.set_broken(false);
        kit.store.objects.lock().unwrap().clear();
        assert_eq!(kit.get(&url).await.code(), "file_not_found");
    }

    #[tokio::test]
    async fn the_path_of_another_route_names_its_viewer_and_is_valid_only_there() {
        let kit = Kit::new().await;
        let path = kit.files.signed_path("message", 5, Some("small"), "a b.png", UserId(7));
        let (place, query) = path.split_once('?').unwrap();
        assert_eq!(place, "5/a%20b.png");
        let parse = |query: &str| -> Signature {
            let uri: axum::http::Uri = format!("/?{query}").parse().unwrap();
            axum::extract::Query::try_from_uri(&uri).unwrap().0
        };
        let signature = parse(query);
        assert_eq!((signature.variant(), signature.is_signed()), ("small", true));
        let viewer = |scope, id, name| kit.files.viewer(scope, id, name, &signature).map_err(|error| error.kind());
        assert_eq!(viewer("message", 5, "a b.png"), Ok(UserId(7)));
        for (scope, id, name) in [("", 5, "a b.png"), ("message", 6, "a b.png"), ("message", 5, "b.png")] {
            assert_eq!(viewer(scope, id, name), Err(Kind::NotFound));
        }
        kit.advance(HOUR);
        assert_eq!(viewer("message", 5, "a b.png"), Err(Kind::NotFound));
        assert_eq!(Files::unsigned_path(5, Some("small"), "a b.png"), "5/a%20b.png?v=small");
        let unsigned = kit.files.viewer("message", 5, "a b.png", &parse("v=small"));
        assert_eq!(unsigned.unwrap_err().kind(), Kind::Unauthenticated);
    }
}
