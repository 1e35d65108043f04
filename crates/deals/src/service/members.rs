use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{
    Handover, Member, MemberId, MemberPatch, NewMember, NewRole, NewTeam, OrganizationId, Reassigned, Result, Role,
    RoleId, RolePatch, Team, TeamId, TeamPatch,
};

/// Who is in an organization, and what they may do there.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Members: Send + Sync + 'static {
    /// The roles of an organization.
    async fn roles(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Role>>;
    /// Makes a role that grants no more than the caller's.
    async fn create_role(&self, caller: &Caller, org: OrganizationId, new: NewRole) -> Result<Role>;
    /// A role.
    async fn role(&self, caller: &Caller, org: OrganizationId, id: RoleId) -> Result<Role>;
    /// Changes a role that is not the caller's own.
    async fn change_role(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: RoleId,
        patch: RolePatch,
        known: IfMatch,
    ) -> Result<Role>;
    /// Removes a role that nobody has.
    async fn delete_role(&self, caller: &Caller, org: OrganizationId, id: RoleId, known: IfMatch) -> Result<()>;

    /// The teams of an organization.
    async fn teams(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Team>>;
    /// Makes a team.
    async fn create_team(&self, caller: &Caller, org: OrganizationId, new: NewTeam) -> Result<Team>;
    /// A team.
    async fn team(&self, caller: &Caller, org: OrganizationId, id: TeamId) -> Result<Team>;
    /// Changes a team; it is never part of itself.
    async fn change_team(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: TeamId,
        patch: TeamPatch,
        known: IfMatch,
    ) -> Result<Team>;
    /// Removes a team that nobody is in and that has no parts.
    async fn delete_team(&self, caller: &Caller, org: OrganizationId, id: TeamId, known: IfMatch) -> Result<()>;

    /// Who is in an organization.
    async fn members(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Member>>;
    /// Takes somebody in, with a role that grants no more than the caller's.
    async fn add_member(&self, caller: &Caller, org: OrganizationId, new: NewMember) -> Result<Member>;
    /// Somebody in an organization.
    async fn member(&self, caller: &Caller, org: OrganizationId, id: MemberId) -> Result<Member>;
    /// Changes what somebody may do, or shuts them out; the last owner stays.
    async fn change_member(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: MemberId,
        patch: MemberPatch,
        known: IfMatch,
    ) -> Result<Member>;
    /// Removes somebody of whom nothing is left: 409 with what there is otherwise.
    async fn remove_member(&self, caller: &Caller, org: OrganizationId, id: MemberId, known: IfMatch) -> Result<()>;
    /// Hands over what somebody owns, in one transaction.
    async fn reassign(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: MemberId,
        handover: Handover,
    ) -> Result<Reassigned>;
}
