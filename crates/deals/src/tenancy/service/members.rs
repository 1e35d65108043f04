use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{Member, MemberId, MemberPatch, NewMember, OrganizationId, Reassign, Reassigned, Result};

/// Members of organizations.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Members: Send + Sync + 'static {
    /// The members of an organization.
    async fn members(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Member>>;
    /// Invites a user as a member; staff add members directly. The role cannot exceed the caller's permissions.
    async fn add_member(&self, caller: &Caller, org: OrganizationId, new: NewMember) -> Result<Member>;
    /// A member of an organization.
    async fn member(&self, caller: &Caller, org: OrganizationId, id: MemberId) -> Result<Member>;
    /// Changes or deactivates a member, if `known` matches its current version. The last owner can neither be
    /// deactivated nor get another role.
    async fn change_member(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: MemberId,
        patch: MemberPatch,
        known: IfMatch,
    ) -> Result<Member>;
    /// Removes a member, if `known` matches its current version. Fails with the blockers while they are the owner or
    /// creator of deals.
    async fn remove_member(&self, caller: &Caller, org: OrganizationId, id: MemberId, known: IfMatch) -> Result<()>;
    /// Reassigns the clients, deals and tasks of a member, in one transaction.
    async fn reassign(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: MemberId,
        reassign: Reassign,
    ) -> Result<Reassigned>;
}
