use guildhall_kernel::{Person, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::Message;

/// A pinned message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RoomPin)]
pub struct Pin {
    /// The message.
    pub message: Message,
    /// Who has pinned it; `null` once their account is deleted.
    pub pinned_by: Option<Person>,
    /// When.
    pub created_at: Timestamp,
}
