use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::MAX_CONTENT;

/// A change of a message.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[schema(as = RoomMessagePatch)]
pub struct MessagePatch {
    /// The text: 1 to 10,000 characters.
    #[garde(custom(text::block(1, MAX_CONTENT)))]
    pub content: String,
}

/// The content of a message before it was edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RoomMessageRevision)]
pub struct Revision {
    /// The number of the event with which it was written.
    pub seq: i64,
    /// The content.
    pub content: String,
    /// When it was written.
    pub created_at: Timestamp,
}
