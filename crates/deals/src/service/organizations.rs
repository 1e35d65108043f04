use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery, Slice, SliceQuery};

use crate::{Change, Found, NewOrganization, Organization, OrganizationId, OrganizationPatch, Own, Result};

/// Organizations: tenants that know nothing of each other.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Organizations: Send + Sync + 'static {
    /// Makes an organization with the usual roles and a pipeline; the caller owns it.
    async fn create_organization(&self, caller: &Caller, new: NewOrganization) -> Result<Organization>;
    /// The organizations that the caller is in.
    async fn organizations(&self, caller: &Caller, page: PageQuery) -> Result<Page<Organization>>;
    /// The only organization that the caller is in, for paths that name none.
    async fn only_organization(&self, caller: &Caller) -> Result<OrganizationId>;
    /// An organization, if the caller is in it.
    async fn organization(&self, caller: &Caller, org: OrganizationId) -> Result<Organization>;
    /// Changes an organization.
    async fn change_organization(
        &self,
        caller: &Caller,
        org: OrganizationId,
        patch: OrganizationPatch,
        known: IfMatch,
    ) -> Result<Organization>;
    /// Removes an organization that has no clients, with its members, roles and pipelines.
    async fn delete_organization(&self, caller: &Caller, org: OrganizationId, known: IfMatch) -> Result<()>;
    /// What the caller is in an organization.
    async fn own_membership(&self, caller: &Caller, org: OrganizationId) -> Result<Own>;

    /// Finds clients, people at clients and deals that the caller may see.
    async fn search(&self, caller: &Caller, org: OrganizationId, words: String) -> Result<Found>;

    /// What was changed in an organization, newest first.
    async fn changes(&self, caller: &Caller, org: OrganizationId, slice: SliceQuery) -> Result<Slice<Change>>;
}
