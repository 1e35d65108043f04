use serde::Serialize;
use utoipa::ToSchema;

use crate::id::AttachmentId;

/// The maximum number of attachments of a message.
pub(crate) const MAX_ATTACHMENTS: usize = 10;

/// A file attached to a message, or uploaded to be attached to one. Each request for it checks that the user may still
/// read the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = MessageAttachment)]
pub struct Attachment {
    /// The attachment's id.
    pub id: AttachmentId,
    /// The file name.
    pub name: String,
    /// The media type.
    pub content_type: String,
    /// The size in bytes; of a picture, the sum of all its sizes.
    pub size: i64,
    /// Absolute URL, signed for the caller and valid for at least half an hour. In events it is a path without a
    /// signature, which needs authentication.
    pub url: String,
    /// Like `url`, of a version of at most 1,024 pixels, if the file is a picture.
    pub medium_url: Option<String>,
    /// Like `url`, of a small version, if the file is a picture.
    pub preview_url: Option<String>,
    /// The width at `url` in pixels, if the file is a picture.
    pub width: Option<i64>,
    /// The height at `url` in pixels, if the file is a picture.
    pub height: Option<i64>,
}
