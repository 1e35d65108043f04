//! Groups.

use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{
    error::Result,
    groups::{CategoryCount, Deletion, Group, GroupFilter, GroupPatch, NewGroup},
    id::GroupId,
};

/// Groups.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Groups: Send + Sync + 'static {
    /// Creates a group. The caller becomes its owner.
    async fn create_group(&self, caller: &Caller, new: NewGroup) -> Result<Group>;
    /// The groups visible to the viewer.
    async fn groups(&self, viewer: Option<Caller>, filter: GroupFilter, page: PageQuery) -> Result<Page<Group>>;
    /// The categories of the visible groups, largest first.
    async fn categories(&self, viewer: Option<Caller>) -> Result<Vec<CategoryCount>>;
    /// A group, if it is visible to the viewer.
    async fn group(&self, viewer: Option<Caller>, id: GroupId) -> Result<Group>;
    /// Those of these groups that are visible to the viewer, up to 100, in no particular order.
    async fn groups_by_id(&self, viewer: Option<Caller>, ids: Vec<GroupId>) -> Result<Vec<Group>>;
    /// Changes a group, if `known` matches its current version.
    async fn change_group(&self, caller: &Caller, id: GroupId, patch: GroupPatch, known: IfMatch) -> Result<Group>;
    /// Counts what deleting a group would delete.
    async fn preview_deletion(&self, caller: &Caller, id: GroupId) -> Result<Deletion>;
    /// Deletes a group and everything in it, if `known` matches its current version.
    async fn delete_group(&self, caller: &Caller, id: GroupId, known: IfMatch) -> Result<()>;
}
