//! Invitations into organizations, as whoever is invited sees them.

use guildhall_kernel::{Person, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::{MemberId, OrganizationId, RoleStub};

/// An organization, as somebody sees it who is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrganizationStub {
    /// Its id.
    pub id: OrganizationId,
    /// What it is called.
    pub name: String,
}

/// That somebody may become a member of an organization, once they accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = OrganizationInvitation)]
pub struct Invitation {
    /// The id of the membership that it would become.
    pub id: MemberId,
    /// Into which organization.
    pub organization: OrganizationStub,
    /// What they may do there.
    pub role: RoleStub,
    /// Who has invited them; `null` once that account is gone.
    pub invited_by: Option<Person>,
    /// When.
    pub created_at: Timestamp,
}
