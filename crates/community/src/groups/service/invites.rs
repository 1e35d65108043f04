//! Invites to groups.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery};

use crate::{
    error::Result,
    groups::{Group, Invitation, Invite, IssuedInvite, NewInvite},
    id::{GroupId, InviteId},
};

/// Invites to groups.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Invites: Send + Sync + 'static {
    /// Invites a user, an email address, or whoever has the link.
    async fn invite(&self, caller: &Caller, id: GroupId, new: NewInvite) -> Result<IssuedInvite>;
    /// The invites of a group, newest first.
    async fn invites(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<Invite>>;
    /// Revokes an invite.
    async fn revoke_invite(&self, caller: &Caller, id: GroupId, invite: InviteId) -> Result<()>;
    /// Revokes the invite that has this token.
    async fn revoke_token(&self, caller: &Caller, id: GroupId, token: String) -> Result<()>;
    /// Joins the group that the invite is for.
    async fn accept_invite(&self, caller: &Caller, token: String) -> Result<Group>;
    /// The caller's pending invitations.
    async fn invitations(&self, caller: &Caller) -> Result<Vec<Invitation>>;
}
