use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery};

use crate::{Deletion, DeletionId, OrganizationId, Result};

/// Deleted objects, which can be restored.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Trash: Send + Sync + 'static {
    /// The deletions in the trash, newest first.
    async fn trash(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Deletion>>;
    /// Restores everything that a deletion removed, and nothing else.
    async fn restore(&self, caller: &Caller, org: OrganizationId, id: DeletionId) -> Result<Deletion>;
    /// Permanently removes everything that a deletion removed.
    async fn purge(&self, caller: &Caller, org: OrganizationId, id: DeletionId) -> Result<()>;
}
