use guildhall_kernel::{Person, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A user whom the caller follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Follow {
    /// The user.
    pub user: Option<Person>,
    /// When the caller followed them.
    pub created_at: Timestamp,
}
