use async_trait::async_trait;
use guildhall_kernel::{Caller, UserId};

use crate::{PasswordProof, Result};

/// Deletion, erasure and data export of users.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Removals: Send + Sync + 'static {
    /// Deletes the caller's own account, as [`delete_user`](Self::delete_user) does.
    async fn delete_me(&self, caller: &Caller, proof: PasswordProof) -> Result<()>;
    /// Exports all data stored about the caller, without secrets.
    async fn export_me(&self, caller: &Caller) -> Result<serde_json::Value>;
    /// Deletes a user, for staff. Whatever needs an owner is reassigned to the successor, or to one that the domains
    /// choose; the rest is handled by its foreign keys. Fails with the blockers, if any.
    async fn delete_user(&self, caller: &Caller, id: UserId, successor: Option<UserId>) -> Result<()>;
    /// Erases a user's personal data, for staff. Only the row that others reference and the audit log remain.
    async fn erase_user(&self, caller: &Caller, id: UserId) -> Result<()>;
}
