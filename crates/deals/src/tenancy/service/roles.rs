//! Roles.

use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{NewRole, OrganizationId, Result, Role, RoleId, RolePatch};

/// The roles of an organization.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Roles: Send + Sync + 'static {
    /// The roles of an organization.
    async fn roles(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Role>>;
    /// Creates a role. It cannot exceed the caller's permissions.
    async fn create_role(&self, caller: &Caller, org: OrganizationId, new: NewRole) -> Result<Role>;
    /// A role.
    async fn role(&self, caller: &Caller, org: OrganizationId, id: RoleId) -> Result<Role>;
    /// Changes a role other than the caller's own, if `known` matches its current version.
    async fn change_role(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: RoleId,
        patch: RolePatch,
        known: IfMatch,
    ) -> Result<Role>;
    /// Deletes a role that no member has, if `known` matches its current version.
    async fn delete_role(&self, caller: &Caller, org: OrganizationId, id: RoleId, known: IfMatch) -> Result<()>;
}
