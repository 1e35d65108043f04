//! The cleanup of test data.

use serde::Serialize;

use crate::OrganizationId;

/// What `cleanup-test-data` deletes of an organization, or would delete in a dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CleanedUp {
    /// The organization's id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// The number of deleted rows per table, in the order of deletion.
    pub rows: Vec<(String, u64)>,
    /// The deleted accounts.
    pub users: Vec<guildhall_kernel::UserId>,
}
