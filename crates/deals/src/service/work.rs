use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery, Slice, SliceQuery};

use crate::{Activity, ClientId, Filter, NewActivity, NewTask, OrganizationId, Place, Result, Task, TaskId, TaskPatch};

/// What was done with clients, and what is to be done.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Work: Send + Sync + 'static {
    /// What happened with a client, with all its deals, newest first.
    async fn timeline(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        slice: SliceQuery,
    ) -> Result<Slice<Activity>>;
    /// What happened about a deal, newest first.
    async fn activities(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        slice: SliceQuery,
    ) -> Result<Slice<Activity>>;
    /// Writes down what happened with a client.
    async fn log_with_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        new: NewActivity,
    ) -> Result<Activity>;
    /// Writes down what happened about a deal.
    async fn log_activity(&self, caller: &Caller, org: OrganizationId, at: Place, new: NewActivity)
    -> Result<Activity>;

    /// The tasks that the caller may see, those due first in front.
    async fn tasks(&self, caller: &Caller, org: OrganizationId, filter: Filter, page: PageQuery) -> Result<Page<Task>>;
    /// Adds a task.
    async fn create_task(&self, caller: &Caller, org: OrganizationId, new: NewTask) -> Result<Task>;
    /// A task.
    async fn task(&self, caller: &Caller, org: OrganizationId, id: TaskId) -> Result<Task>;
    /// Changes a task, or finishes it.
    async fn change_task(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: TaskId,
        patch: TaskPatch,
        known: IfMatch,
    ) -> Result<Task>;
    /// Removes a task.
    async fn delete_task(&self, caller: &Caller, org: OrganizationId, id: TaskId, known: IfMatch) -> Result<()>;
}
