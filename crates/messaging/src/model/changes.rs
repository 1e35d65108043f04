use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::MAX_CONTENT;

/// A change of a message.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct MessagePatch {
    /// The text: 1 to 10,000 characters.
    #[garde(custom(text::block(1, MAX_CONTENT)))]
    pub content: String,
}

/// For whom a message is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeleteFor {
    /// For everybody. Only the sender may, for some time.
    #[default]
    Everyone,
    /// Only for the caller.
    Me,
}

/// The content of a message before it was edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = MessageRevision)]
pub struct Revision {
    /// The content; empty if it cannot be read.
    pub content: String,
    /// Whether the content cannot be read, because the server does not have the key that it was encrypted with; absent
    /// if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub is_unreadable: bool,
    /// When it was written.
    pub created_at: Timestamp,
}
