use serde::Serialize;
use utoipa::ToSchema;

use crate::id::AttachmentId;

/// A file attached to a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attachment {
    /// The attachment's id.
    pub id: AttachmentId,
    /// The file name.
    pub name: String,
    /// The media type.
    pub content_type: String,
    /// The size in bytes; of a picture, the sum of all its sizes.
    pub size: i64,
    /// Absolute URL, valid for at least half an hour.
    pub url: String,
    /// Absolute URL of a version of at most 1,024 pixels, if the file is a picture.
    pub medium_url: Option<String>,
    /// Absolute URL of a small version, if the file is a picture.
    pub preview_url: Option<String>,
}
