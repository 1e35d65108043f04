//! Invitations to organizations, as the invited user sees them.

use guildhall_kernel::{Person, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{MemberId, OrganizationId, RoleStub};

/// An organization, as users outside see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrganizationStub {
    /// The organization's id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
}

/// An invitation to become a member of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = OrganizationInvitation)]
pub struct Invitation {
    /// The invitation's id, which becomes the id of the membership.
    pub id: MemberId,
    /// The organization.
    pub organization: OrganizationStub,
    /// The role of the new member.
    pub role: RoleStub,
    /// The user who sent it; `null` once their account is deleted.
    pub invited_by: Option<Person>,
    /// When it was created.
    pub created_at: Timestamp,
}
