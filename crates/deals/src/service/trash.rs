use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery};

use crate::{Deletion, DeletionId, OrganizationId, Result};

/// What was deleted, and can come back.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Trash: Send + Sync + 'static {
    /// What is in the trash, newest first.
    async fn trash(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Deletion>>;
    /// Brings back what went into the trash in one act, and nothing else.
    async fn restore(&self, caller: &Caller, org: OrganizationId, id: DeletionId) -> Result<Deletion>;
    /// Removes for good what went into the trash in one act.
    async fn purge(&self, caller: &Caller, org: OrganizationId, id: DeletionId) -> Result<()>;
}
