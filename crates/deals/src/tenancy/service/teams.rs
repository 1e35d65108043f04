//! Teams.

use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{NewTeam, OrganizationId, Result, Team, TeamId, TeamPatch};

/// The teams of an organization.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Teams: Send + Sync + 'static {
    /// The teams of an organization.
    async fn teams(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Team>>;
    /// Creates a team.
    async fn create_team(&self, caller: &Caller, org: OrganizationId, new: NewTeam) -> Result<Team>;
    /// A team.
    async fn team(&self, caller: &Caller, org: OrganizationId, id: TeamId) -> Result<Team>;
    /// Changes a team, if `known` matches its current version. A team cannot be its own ancestor.
    async fn change_team(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: TeamId,
        patch: TeamPatch,
        known: IfMatch,
    ) -> Result<Team>;
    /// Deletes a team without members and subteams, if `known` matches its current version.
    async fn delete_team(&self, caller: &Caller, org: OrganizationId, id: TeamId, known: IfMatch) -> Result<()>;
}
