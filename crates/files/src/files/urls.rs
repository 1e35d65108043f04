//! Signed URLs of files.

use std::io;

use axum::body::Body;
use guildhall_kernel::{Error, Kind, Result, UserId};
use sea_orm::EntityTrait;

use super::{Files, Shared};
use crate::{
    entity::file,
    id::FileId,
    link::{Link, percent_encoded},
    store::object_name,
};

/// How long, in seconds, a URL stays the same; after that it remains valid for as long again.
const STEP: i64 = 1800;

impl Files {
    /// A signed URL of a file for a user who may see it, valid for 30 to 60 minutes. It needs no authentication, so
    /// that pages can embed pictures, and stays the same for half an hour, so that it can be cached. `name` is the
    /// file name for downloads.
    pub fn url(&self, id: FileId, variant: Option<&str>, name: &str, viewer: Option<UserId>) -> String {
        // Browsers resolve these as path segments, even when percent-encoded.
        let name = if matches!(name, "" | "." | "..") { "file" } else { name };
        let expires = (self.shared.clock.now().unix_seconds().div_euclid(STEP) + 2) * STEP;
        let (expires, viewer) = (expires.to_string(), viewer.map(|viewer| viewer.to_string()));
        let (variant, viewer) = (variant.unwrap_or_default(), viewer.unwrap_or_default());
        let link = Link { id, variant, viewer: &viewer, expires: &expires, name };
        let signature = self.shared.signer.sign(&link);
        let mut query = String::new();
        for (key, value) in [("v", variant), ("u", viewer.as_str()), ("e", expires.as_str())] {
            if !value.is_empty() {
                query = format!("{query}{key}={}&", percent_encoded(value));
            }
        }
        self.mount.join(&format!("/files/{id}/{}?{query}s={signature}", percent_encoded(name)))
    }

    /// Verifies a signed URL and opens its file.
    pub(crate) async fn open_signed(&self, link: &Link<'_>, signature: &str) -> Result<(file::Model, Body)> {
        let Shared { db, store, clock, signer, .. } = &*self.shared;
        let not_found =
            || Error::new(Kind::NotFound, "file_not_found", "The file does not exist, or its URL has expired.");
        let expires = link.expires.parse::<i64>().unwrap_or_default();
        if !signer.has_signed(link, signature) || expires <= clock.now().unix_seconds() {
            return Err(not_found());
        }
        let row = file::Entity::find_by_id(link.id).one(db.conn()).await?.ok_or_else(not_found)?;
        if !row.variants.split(',').any(|variant| variant == link.variant) {
            return Err(not_found());
        }
        match store.get(&object_name(&row.key, link.variant)).await {
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
    use crate::testing::{ANNA, Kit, picture, text};

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
}
