//! Uploaded files.

use std::collections::BTreeMap;

use axum::body::Bytes;
use guildhall_kernel::{Result, UserId};

use crate::{
    content::Content,
    picture::{Fit, Size, pictures},
};

/// The longest file name, in characters.
const MAX_NAME: usize = 200;
/// The name of a file that was uploaded without one.
const DEFAULT_NAME: &str = "file";
/// The media type of a file that was uploaded without a valid one.
const DEFAULT_TYPE: &str = "application/octet-stream";
/// The name of the small size of an attached picture.
pub const SMALL: &str = "small";
/// The name of the medium size of an attached picture. One that was stored without it has the large size instead.
pub const MEDIUM: &str = "medium";
/// The name of the large size of an attached picture.
pub const LARGE: &str = "large";
/// The sizes in which attached pictures are stored.
const SIZES: &[Size] = &[
    Size { name: SMALL, width: 480, height: 480, fit: Fit::Within },
    Size { name: MEDIUM, width: 1024, height: 1024, fit: Fit::Within },
    LARGE_SIZE,
];
const LARGE_SIZE: Size = Size { name: LARGE, width: 2048, height: 2048, fit: Fit::Within };

/// An uploaded file.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The file name, without folders and control characters; never empty.
    pub name: String,
    /// The media type that the client sent, without parameters; not verified.
    pub content_type: String,
    /// The content.
    pub bytes: Bytes,
    /// The text fields of the form; if a name is repeated, the first one.
    pub fields: BTreeMap<String, String>,
}

impl Upload {
    /// The content to store for an attachment: the sizes [`SMALL`], [`MEDIUM`] and [`LARGE`] of a file that was sent
    /// as an image, any other file as it is.
    ///
    /// # Errors
    /// Those of [`pictures`], with the field `file`, which the forms of attachments have.
    pub async fn into_attachment(self, user: UserId) -> Result<Content> {
        if self.content_type.starts_with("image/") {
            pictures(user, "file", self.bytes, SIZES).await
        } else {
            Ok(Content::bytes(self.content_type, self.bytes))
        }
    }
}

/// The media type and the content of an attachment that is stored as one object: a file that was sent as an image is
/// re-encoded in the size [`LARGE`], without metadata; any other file stays as it is.
///
/// # Errors
/// Those of [`pictures`], with the field `file`.
pub async fn single_object(user: UserId, content_type: String, bytes: Bytes) -> Result<(String, Bytes)> {
    if !content_type.starts_with("image/") {
        return Ok((content_type, bytes));
    }
    let content = pictures(user, "file", bytes, &[LARGE_SIZE]).await?;
    let bytes = content.objects.into_iter().next().map(|(_, bytes)| bytes).unwrap_or_default();
    Ok((content.media_type, bytes))
}

/// The file name of a path with either separator, without control characters and bidirectional formatting.
pub(crate) fn plain_name(claimed: &str) -> String {
    let last = claimed.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_bidi = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let name: String = last.chars().filter(|c| !c.is_control() && !is_bidi(*c)).take(MAX_NAME).collect();
    match name.trim() {
        "" | "." | ".." => DEFAULT_NAME.to_owned(),
        name => name.to_owned(),
    }
}

/// A media type without its parameters, in lower case.
pub(crate) fn plain_type(claimed: Option<&str>) -> String {
    let essence = claimed.and_then(|claimed| claimed.split(';').next()).unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let is_token = |token: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
        !token.is_empty() && token.len() <= 100 && token.bytes().all(is_allowed)
    };
    match essence.split_once('/') {
        Some((main, subtype)) if is_token(main) && is_token(subtype) => essence,
        _ => DEFAULT_TYPE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(content_type: &str, bytes: &'static [u8]) -> Upload {
        Upload { name: "a".into(), content_type: content_type.into(), bytes: bytes.into(), fields: BTreeMap::new() }
    }

    #[tokio::test]
    async fn an_attached_picture_has_two_sizes_and_a_damaged_one_is_an_error_of_its_field() {
        let user = UserId(1);
        let gif = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b";
        let picture = upload("image/gif", gif).into_attachment(user).await.unwrap();
        assert_eq!([picture.dimensions(SMALL), picture.dimensions(LARGE)], [Some((1, 1)); 2]);
        let other = upload("text/plain", gif).into_attachment(user).await.unwrap();
        assert_eq!((other.media_type.as_str(), other.dimensions(LARGE)), ("text/plain", None));
        let refused = upload("image/gif", b"no picture").into_attachment(user).await.unwrap_err();
        assert_eq!(refused.fields().keys().collect::<Vec<_>>(), ["file"]);
    }

    #[test]
    fn a_name_is_the_last_segment_of_a_path_and_never_empty() {
        for (claimed, plain) in [
            ("notes.txt", "notes.txt"),
            ("C:\\Users\\anna\\notes.txt", "notes.txt"),
            ("../../etc/passwd", "passwd"),
            ("Grüße 日本.pdf", "Grüße 日本.pdf"),
            ("a\u{0}b\r\nc\u{7f}.txt", "abc.txt"),
            ("exe.\u{202e}gpj", "exe.gpj"),
            (" ", "file"),
            ("", "file"),
            ("..", "file"),
            ("folder/", "file"),
        ] {
            assert_eq!(plain_name(claimed), plain, "{claimed:?}");
        }
        assert_eq!(plain_name(&"é".repeat(500)).chars().count(), 200);
    }

    #[test]
    fn an_invalid_media_type_becomes_the_default() {
        assert_eq!(plain_type(Some("text/plain; charset=utf-8")), "text/plain");
        assert_eq!(plain_type(Some("Image/SVG+XML")), "image/svg+xml");
        for invalid in [None, Some(""), Some("text"), Some("text/"), Some("a/b/c"), Some("a b/c"), Some("ä/ö")] {
            assert_eq!(plain_type(invalid), "application/octet-stream", "{invalid:?}");
        }
        assert_eq!(plain_type(Some(&format!("a/{}", "b".repeat(500)))), "application/octet-stream");
    }
}
