use guildhall_kernel::not_null;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::MessageTypeId;

/// The type of messages without another one.
pub(crate) const TEXT: &str = "text";
/// The greatest length of the name of a type.
const MAX_NAME: usize = 40;

/// A type of messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MessageType {
    /// The type's id.
    pub id: MessageTypeId,
    /// The name, as in messages.
    pub name: String,
    /// Whether new messages can have it.
    pub is_active: bool,
}

/// A type of messages to create.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct NewMessageType {
    /// The name: up to 40 lower-case letters, digits and underscores.
    pub name: String,
}

/// A change of a type of messages.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct MessageTypePatch {
    /// Whether new messages can have it.
    #[serde(default, deserialize_with = "not_null")]
    pub is_active: Option<bool>,
}

/// Whether a text can be the name of a type.
pub(crate) fn is_type_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
