use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{Group, GroupFilter, GroupId, NewGroup, Result};

/// Groups of people.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Community: Send + Sync + 'static {
    /// Makes a group of which the caller is owner, member and moderator.
    async fn create_group(&self, caller: &Caller, new: NewGroup) -> Result<Group>;
    /// The groups that the caller may know of; nobody in particular knows of public ones, if the
    /// settings say so.
    async fn groups(&self, caller: Option<Caller>, filter: GroupFilter, page: PageQuery) -> Result<Page<Group>>;
    /// A group, if the caller may know of it.
    async fn group(&self, caller: Option<Caller>, id: GroupId) -> Result<Group>;
    /// Removes a group and everything in it, for its owner and for staff.
    async fn delete_group(&self, caller: &Caller, id: GroupId, known: IfMatch) -> Result<()>;
}
