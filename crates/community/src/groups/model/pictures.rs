use serde::Serialize;
use utoipa::ToSchema;

/// A picture in three sizes. Each absolute URL is valid for at least half an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PictureUrls {
    /// For lists.
    pub small: String,
    /// For cards.
    pub medium: String,
    /// For page headers.
    pub large: String,
}

/// A picture of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureKind {
    /// The square picture.
    Image,
    /// The wide picture.
    Banner,
}
