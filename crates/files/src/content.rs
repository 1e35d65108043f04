//! The content of files, before and after it is stored.

use std::fmt;

use axum::body::Bytes;
use guildhall_kernel::Timestamp;

/// Content to be stored: one object, or the variants of a picture.
#[derive(Clone)]
pub struct Content {
    pub(crate) media_type: String,
    pub(crate) objects: Vec<(&'static str, Bytes)>,
    /// Of pictures: the variant, its width and its height in pixels.
    pub(crate) dimensions: Vec<(&'static str, u32, u32)>,
}

impl Content {
    /// Content of one object.
    pub fn bytes(content_type: impl Into<String>, bytes: Bytes) -> Self {
        Self { media_type: content_type.into(), objects: vec![("", bytes)], dimensions: Vec::new() }
    }

    /// Content of several variants of the same type, with their names: lower-case letters, digits and `-`.
    pub fn variants(content_type: impl Into<String>, variants: Vec<(&'static str, Bytes)>) -> Self {
        Self { media_type: content_type.into(), objects: variants, dimensions: Vec::new() }
    }

    /// The width and height of a variant of a picture, in pixels.
    pub fn dimensions(&self, variant: &str) -> Option<(u32, u32)> {
        let found = self.dimensions.iter().find(|(name, ..)| *name == variant);
        found.map(|(_, width, height)| (*width, *height))
    }

    /// The total size of all variants, in bytes.
    pub(crate) fn size(&self) -> i64 {
        let size: usize = self.objects.iter().map(|(_, bytes)| bytes.len()).sum();
        i64::try_from(size).unwrap_or(i64::MAX)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("media_type", &self.media_type)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

/// Content that has been stored and not attached yet.
#[derive(Clone, Debug)]
pub struct Stored {
    pub(crate) key: String,
    pub(crate) content_type: String,
    pub(crate) size: i64,
    pub(crate) variants: String,
    pub(crate) due_at: Timestamp,
}

impl Stored {
    /// The media type: `image/png`.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The total size of all variants, in bytes.
    pub fn size(&self) -> i64 {
        self.size
    }
}
