use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery};

use crate::{Invitation, Member, MemberId, OrganizationId, Result};

/// How somebody gets into an organization, and out of it again. Nobody is a member who has not accepted, and every
/// member can leave.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Invitations: Send + Sync + 'static {
    /// The invitations that the caller has not answered.
    async fn invitations(&self, caller: &Caller, page: PageQuery) -> Result<Page<Invitation>>;
    /// Makes the caller a member of the organization that has invited them.
    async fn accept_invitation(&self, caller: &Caller, id: MemberId) -> Result<Member>;
    /// Refuses an invitation; it is forgotten.
    async fn decline_invitation(&self, caller: &Caller, id: MemberId) -> Result<()>;
    /// Takes the caller out of an organization. What they own there goes to its owner; the last owner stays.
    async fn leave_organization(&self, caller: &Caller, org: OrganizationId) -> Result<()>;
}
