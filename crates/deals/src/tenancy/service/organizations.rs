use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, IfMatch, Page, PageQuery};

use crate::{Change, NewOrganization, Organization, OrganizationId, OrganizationPatch, OwnMembership, Result};

/// Organizations: isolated tenants.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Organizations: Send + Sync + 'static {
    /// Creates an organization with the preset roles and a pipeline. The caller becomes its owner.
    async fn create_organization(&self, caller: &Caller, new: NewOrganization) -> Result<Organization>;
    /// The organizations that the caller is in.
    async fn organizations(&self, caller: &Caller, page: PageQuery) -> Result<Page<Organization>>;
    /// The only organization that the caller is in, for compatibility routes.
    async fn only_organization(&self, caller: &Caller) -> Result<OrganizationId>;
    /// An organization, if the caller is in it.
    async fn organization(&self, caller: &Caller, org: OrganizationId) -> Result<Organization>;
    /// Changes an organization, if `known` matches its current version.
    async fn change_organization(
        &self,
        caller: &Caller,
        org: OrganizationId,
        patch: OrganizationPatch,
        known: IfMatch,
    ) -> Result<Organization>;
    /// Deletes an organization without clients, with its members, roles and pipelines, if `known` matches its current
    /// version.
    async fn delete_organization(&self, caller: &Caller, org: OrganizationId, known: IfMatch) -> Result<()>;
    /// The caller's membership and permissions.
    async fn own_membership(&self, caller: &Caller, org: OrganizationId) -> Result<OwnMembership>;
    /// The audit log of an organization, newest first.
    async fn changes(&self, caller: &Caller, org: OrganizationId, query: CursorQuery) -> Result<CursorPage<Change>>;
}
