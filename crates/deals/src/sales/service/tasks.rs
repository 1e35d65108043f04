use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{Filter, NewTask, OrganizationId, Result, Task, TaskId, TaskPatch};

/// Tasks about clients and deals.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Tasks: Send + Sync + 'static {
    /// The tasks that the caller may see, by due time.
    async fn tasks(&self, caller: &Caller, org: OrganizationId, filter: Filter, page: PageQuery) -> Result<Page<Task>>;
    /// Creates a task.
    async fn create_task(&self, caller: &Caller, org: OrganizationId, new: NewTask) -> Result<Task>;
    /// A task.
    async fn task(&self, caller: &Caller, org: OrganizationId, id: TaskId) -> Result<Task>;
    /// Changes or completes a task, if `known` matches its current version.
    async fn change_task(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: TaskId,
        patch: TaskPatch,
        known: IfMatch,
    ) -> Result<Task>;
    /// Deletes a task, if `known` matches its current version.
    async fn delete_task(&self, caller: &Caller, org: OrganizationId, id: TaskId, known: IfMatch) -> Result<()>;
}
