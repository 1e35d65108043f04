use guildhall_kernel::{Person, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A person whom the caller has blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Block {
    /// The person; `null` once their account is deleted.
    pub user: Option<Person>,
    /// When they were blocked.
    pub created_at: Timestamp,
}
