use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery, Slice, SliceQuery, UserId};

use crate::{
    Ban, CategoryCount, Deletion, Group, GroupFilter, GroupId, GroupPatch, Invitation, Invite, InviteId, IssuedInvite,
    JoinRequest, Joined, LogEntry, Member, MemberFilter, Membership, MembershipFilter, NewBan, NewGroup, NewInvite,
    PictureKind, RequestId, Result,
};

/// Groups and the people in them.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Groups: Send + Sync + 'static {
    /// Makes a group; the caller owns it, and is its member and moderator at once.
    async fn create_group(&self, caller: &Caller, new: NewGroup) -> Result<Group>;
    /// The groups that the viewer may know of.
    async fn groups(&self, viewer: Option<Caller>, filter: GroupFilter, page: PageQuery) -> Result<Page<Group>>;
    /// The categories of these groups, those with most groups first.
    async fn categories(&self, viewer: Option<Caller>) -> Result<Vec<CategoryCount>>;
    /// A group, if the viewer may know of it.
    async fn group(&self, viewer: Option<Caller>, id: GroupId) -> Result<Group>;
    /// Changes a group, if it is still a version that the caller knows.
    async fn change_group(&self, caller: &Caller, id: GroupId, patch: GroupPatch, known: IfMatch) -> Result<Group>;
    /// What would go with a group.
    async fn preview_deletion(&self, caller: &Caller, id: GroupId) -> Result<Deletion>;
    /// Removes a group and everything in it, if it is still a version that the caller knows.
    async fn delete_group(&self, caller: &Caller, id: GroupId, known: IfMatch) -> Result<()>;
    /// Puts up a picture of a group; what it holds is looked at, whatever it claims to be.
    async fn set_picture(
        &self,
        caller: &Caller,
        id: GroupId,
        kind: PictureKind,
        content: axum::body::Bytes,
    ) -> Result<Group>;
    /// Takes a picture down.
    async fn remove_picture(&self, caller: &Caller, id: GroupId, kind: PictureKind) -> Result<()>;

    /// Joins a public group, or any with an invite; asks to join a private one that shows its card.
    async fn join(&self, caller: &Caller, id: GroupId, token: Option<String>, note: String) -> Result<Joined>;
    /// Leaves a group, or takes a request back; tells whether there was anything to leave.
    async fn leave(&self, caller: &Caller, id: GroupId) -> Result<bool>;
    /// Those who are in a group, the longest first.
    async fn members(
        &self,
        caller: &Caller,
        id: GroupId,
        filter: MemberFilter,
        page: PageQuery,
    ) -> Result<Page<Member>>;
    /// Removes somebody from a group.
    async fn remove_member(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()>;
    /// Makes a member a moderator.
    async fn add_moderator(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<Group>;
    /// Makes a moderator a member again.
    async fn remove_moderator(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()>;
    /// Hands a group over to one of its members; the owner so far stays as a moderator.
    async fn transfer(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<Group>;
    /// Who is in which group, of those that the caller may see into.
    async fn memberships(&self, caller: &Caller, filter: MembershipFilter, page: PageQuery)
    -> Result<Page<Membership>>;

    /// The requests to join that nobody has decided about.
    async fn requests(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<JoinRequest>>;
    /// Lets somebody in, or refuses.
    async fn decide_request(
        &self,
        caller: &Caller,
        id: GroupId,
        request: RequestId,
        approve: bool,
    ) -> Result<JoinRequest>;

    /// Invites a person, an address, or whoever has the link.
    async fn invite(&self, caller: &Caller, id: GroupId, new: NewInvite) -> Result<IssuedInvite>;
    /// The invites of a group, newest first.
    async fn invites(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<Invite>>;
    /// Takes an invite back.
    async fn revoke_invite(&self, caller: &Caller, id: GroupId, invite: InviteId) -> Result<()>;
    /// Takes the invite back that has this token.
    async fn revoke_token(&self, caller: &Caller, id: GroupId, token: String) -> Result<()>;
    /// Joins the group that an invite is for.
    async fn accept_invite(&self, caller: &Caller, token: String) -> Result<Group>;
    /// The groups that the caller is invited to.
    async fn invitations(&self, caller: &Caller) -> Result<Vec<Invitation>>;

    /// Keeps somebody out of a group, and removes them if they are in it.
    async fn ban(&self, caller: &Caller, id: GroupId, new: NewBan) -> Result<Ban>;
    /// Lets somebody come again.
    async fn unban(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()>;
    /// Those who may not be in a group, the last first.
    async fn bans(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<Ban>>;
    /// What was done to keep order in a group, the last first.
    async fn log(&self, caller: &Caller, id: GroupId, slice: SliceQuery) -> Result<Slice<LogEntry>>;
}
