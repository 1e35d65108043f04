use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery};

use crate::{Invitation, Member, MemberId, OrganizationId, Result};

/// Invitations to organizations, and leaving them. Nobody becomes a member without accepting, and every member can
/// leave.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Invitations: Send + Sync + 'static {
    /// The pending invitations of the caller.
    async fn invitations(&self, caller: &Caller, page: PageQuery) -> Result<Page<Invitation>>;
    /// Accepts an invitation: the caller becomes an active member.
    async fn accept_invitation(&self, caller: &Caller, id: MemberId) -> Result<Member>;
    /// Declines and deletes an invitation.
    async fn decline_invitation(&self, caller: &Caller, id: MemberId) -> Result<()>;
    /// Ends the caller's membership and reassigns what they own to the owner. The last owner cannot leave.
    async fn leave_organization(&self, caller: &Caller, org: OrganizationId) -> Result<()>;
}
