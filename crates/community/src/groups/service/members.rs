//! Members of groups.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery, UserId};

use crate::{
    error::Result,
    groups::{Group, Joined, Member, MemberFilter, Membership, MembershipFilter},
    id::GroupId,
};

/// Members of groups.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Members: Send + Sync + 'static {
    /// Joins a public group, or any group with an invite token; for a private listed group, requests to join.
    async fn join(&self, caller: &Caller, id: GroupId, token: Option<String>, note: String) -> Result<Joined>;
    /// Leaves a group, or withdraws a pending request. Returns `false` if there was neither.
    async fn leave(&self, caller: &Caller, id: GroupId) -> Result<bool>;
    /// The members of a group, by the date they joined.
    async fn members(
        &self,
        caller: &Caller,
        id: GroupId,
        filter: MemberFilter,
        page: PageQuery,
    ) -> Result<Page<Member>>;
    /// Removes a member from a group.
    async fn remove_member(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()>;
    /// Promotes a member to moderator.
    async fn add_moderator(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<Group>;
    /// Demotes a moderator to member.
    async fn remove_moderator(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()>;
    /// Transfers ownership to another member; the previous owner becomes a moderator.
    async fn transfer(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<Group>;
    /// Memberships, as far as the caller may see the members of those groups.
    async fn memberships(&self, caller: &Caller, filter: MembershipFilter, page: PageQuery)
    -> Result<Page<Membership>>;
}
