use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Json, Page, PageQuery, Path, Query, Result, UserId, routes};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::CommunityState;
use crate::{
    Ban, Group, GroupId, Invitation, Invite, InviteId, Invites, IssuedInvite, JoinRequest, JoinRequests, Joined,
    LogEntry, Member, MemberFilter, Members, Membership, MembershipFilter, Moderation, NewBan, NewInvite, RequestId,
};

/// A user.
#[derive(Deserialize, ToSchema)]
pub(crate) struct UserRef {
    /// The user's id.
    pub(crate) user_id: UserId,
}

/// How to join a group.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct JoinOptions {
    /// The token of an invite, for a group that cannot be joined without one.
    invite_token: Option<String>,
    /// A message to the moderators, if they have to approve the request.
    #[serde(default)]
    note: String,
}

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(join))
        .routes(routes!(leave))
        .routes(routes!(members))
        .routes(routes!(remove_member))
        .routes(routes!(add_moderator))
        .routes(routes!(remove_moderator))
        .routes(routes!(transfer))
        .routes(routes!(requests))
        .routes(routes!(approve_request))
        .routes(routes!(deny_request))
        .routes(routes!(invites, invite))
        .routes(routes!(revoke_invite))
        .routes(routes!(accept_invite))
        .routes(routes!(invitations))
        .routes(routes!(bans, ban))
        .routes(routes!(unban))
        .routes(routes!(log))
        .routes(routes!(memberships))
}

/// List the members of a group, by the date they joined. Only members may.
#[utoipa::path(get, path = "/groups/{id}/members/", tag = "community", responses((status = 200, body = Page<Member>)))]
async fn members(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Query(filter): Query<MemberFilter>,
    page: PageQuery,
) -> Result<Json<Page<Member>>> {
    Ok(Json(members.members(&caller, id, filter, page).await?))
}

/// Remove a member from a group. Only moderators may.
#[utoipa::path(delete, path = "/groups/{id}/members/{user_id}/", tag = "community", responses((status = 204)))]
async fn remove_member(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((id, user_id)): Path<(GroupId, UserId)>,
) -> Result<StatusCode> {
    members.remove_member(&caller, id, user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Promote a member to moderator. Only moderators may.
#[utoipa::path(post, path = "/groups/{id}/moderators/", tag = "community", responses((status = 200, body = Group)))]
pub(crate) async fn add_moderator(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<UserRef>,
) -> Result<Json<Group>> {
    Ok(Json(members.add_moderator(&caller, id, body.user_id).await?))
}

/// Demote a moderator to member. Only moderators may.
#[utoipa::path(delete, path = "/groups/{id}/moderators/{user_id}/", tag = "community", responses((status = 204)))]
async fn remove_moderator(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((id, user_id)): Path<(GroupId, UserId)>,
) -> Result<StatusCode> {
    members.remove_moderator(&caller, id, user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Transfer the ownership of a group to another member. Only the owner and staff may.
#[utoipa::path(post, path = "/groups/{id}/transfer/", tag = "community", responses((status = 200, body = Group)))]
async fn transfer(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<UserRef>,
) -> Result<Json<Group>> {
    Ok(Json(members.transfer(&caller, id, body.user_id).await?))
}

/// List the pending requests to join a group. Only moderators may.
#[utoipa::path(get, path = "/groups/{id}/requests/", tag = "community",
    responses((status = 200, body = Page<JoinRequest>)),
)]
async fn requests(
    State(requests): State<Arc<dyn JoinRequests>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<JoinRequest>>> {
    Ok(Json(requests.requests(&caller, id, page).await?))
}

/// Approve a request to join. Only moderators may.
#[utoipa::path(post, path = "/groups/{id}/requests/{request_id}/approve/", tag = "community",
    responses((status = 200, body = JoinRequest)),
)]
async fn approve_request(
    State(requests): State<Arc<dyn JoinRequests>>,
    caller: Caller,
    Path((id, request_id)): Path<(GroupId, RequestId)>,
) -> Result<Json<JoinRequest>> {
    Ok(Json(requests.decide_request(&caller, id, request_id, true).await?))
}

/// Deny a request to join. Only moderators may. The user can request again.
#[utoipa::path(post, path = "/groups/{id}/requests/{request_id}/deny/", tag = "community",
    responses((status = 200, body = JoinRequest)),
)]
async fn deny_request(
    State(requests): State<Arc<dyn JoinRequests>>,
    caller: Caller,
    Path((id, request_id)): Path<(GroupId, RequestId)>,
) -> Result<Json<JoinRequest>> {
    Ok(Json(requests.decide_request(&caller, id, request_id, false).await?))
}

/// List the invites of a group, newest first. Only moderators may.
#[utoipa::path(get, path = "/groups/{id}/invites/", tag = "community", responses((status = 200, body = Page<Invite>)))]
pub(crate) async fn invites(
    State(invites): State<Arc<dyn Invites>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<Invite>>> {
    Ok(Json(invites.invites(&caller, id, page).await?))
}

/// Invite a user or an email address, or create a link that anybody can use.
///
/// Moderators may, and members if the group allows it.
#[utoipa::path(post, path = "/groups/{id}/invites/", tag = "community",
    responses((status = 201, body = IssuedInvite)),
)]
pub(crate) async fn invite(
    State(invites): State<Arc<dyn Invites>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<NewInvite>,
) -> Result<(StatusCode, Json<IssuedInvite>)> {
    Ok((StatusCode::CREATED, Json(invites.invite(&caller, id, body).await?)))
}

/// Revoke an invite. Only moderators may.
#[utoipa::path(delete, path = "/groups/{id}/invites/{invite_id}/", tag = "community", responses((status = 204)))]
async fn revoke_invite(
    State(invites): State<Arc<dyn Invites>>,
    caller: Caller,
    Path((id, invite_id)): Path<(GroupId, InviteId)>,
) -> Result<StatusCode> {
    invites.revoke_invite(&caller, id, invite_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accept an invite and join its group.
#[utoipa::path(post, path = "/invites/{token}/accept/", tag = "community", responses((status = 200, body = Group)))]
async fn accept_invite(
    State(invites): State<Arc<dyn Invites>>,
    caller: Caller,
    Path(token): Path<String>,
) -> Result<Json<Group>> {
    Ok(Json(invites.accept_invite(&caller, token).await?))
}

/// List the caller's pending invitations, at most 100. Invites by email address are not included.
#[utoipa::path(get, path = "/invites/", tag = "community", responses((status = 200, body = Vec<Invitation>)))]
async fn invitations(State(invites): State<Arc<dyn Invites>>, caller: Caller) -> Result<Json<Vec<Invitation>>> {
    Ok(Json(invites.invitations(&caller).await?))
}

/// List the bans of a group, newest first. Only moderators may.
#[utoipa::path(get, path = "/groups/{id}/bans/", tag = "community", responses((status = 200, body = Page<Ban>)))]
async fn bans(
    State(moderation): State<Arc<dyn Moderation>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<Ban>>> {
    Ok(Json(moderation.bans(&caller, id, page).await?))
}

/// Ban a user from a group, for a time or permanently, and remove them if they are a member. Only moderators may.
#[utoipa::path(post, path = "/groups/{id}/bans/", tag = "community", responses((status = 201, body = Ban)))]
async fn ban(
    State(moderation): State<Arc<dyn Moderation>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<NewBan>,
) -> Result<(StatusCode, Json<Ban>)> {
    Ok((StatusCode::CREATED, Json(moderation.ban(&caller, id, body).await?)))
}

/// Lift a ban. Only moderators may.
#[utoipa::path(delete, path = "/groups/{id}/bans/{user_id}/", tag = "community", responses((status = 204)))]
async fn unban(
    State(moderation): State<Arc<dyn Moderation>>,
    caller: Caller,
    Path((id, user_id)): Path<(GroupId, UserId)>,
) -> Result<StatusCode> {
    moderation.unban(&caller, id, user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the moderation log of a group, newest first. Only moderators may.
#[utoipa::path(get, path = "/groups/{id}/log/", tag = "community",
    responses((status = 200, body = CursorPage<LogEntry>)),
)]
async fn log(
    State(moderation): State<Arc<dyn Moderation>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<LogEntry>>> {
    Ok(Json(moderation.log(&caller, id, cursor).await?))
}

/// List the caller's memberships, or those of a group or user as far as the caller may see them.
#[utoipa::path(get, path = "/group-memberships/", tag = "community",
    responses((status = 200, body = Page<Membership>)),
)]
async fn memberships(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Query(filter): Query<MembershipFilter>,
    page: PageQuery,
) -> Result<Json<Page<Membership>>> {
    Ok(Json(members.memberships(&caller, filter, page).await?))
}

/// Join a group.
///
/// A public group is joined at once, any group with an invite. For a private listed group this creates a request.
#[utoipa::path(post, path = "/groups/{id}/join/", tag = "community",
    request_body(content = Option<JoinOptions>),
    responses(
        (status = 201, body = Joined, description = "The caller has joined"),
        (status = 200, body = Joined, description = "The caller was already a member"),
        (status = 202, body = Joined, description = "The caller has requested to join; a moderator decides"),
    ),
)]
async fn join(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    body: Option<Json<JoinOptions>>,
) -> Result<(StatusCode, Json<Joined>)> {
    let Json(JoinOptions { invite_token, note }) = body.unwrap_or(Json(JoinOptions::default()));
    let joined = members.join(&caller, id, invite_token, note).await?;
    let status = match joined {
        Joined::Member { new: true } => StatusCode::CREATED,
        Joined::Member { new: false } => StatusCode::OK,
        Joined::Requested { .. } => StatusCode::ACCEPTED,
    };
    Ok((status, Json(joined)))
}

/// Leave a group, or withdraw a request to join. If the owner leaves, the longest-standing moderator becomes owner.
#[utoipa::path(post, path = "/groups/{id}/leave/", tag = "community", responses((status = 204)))]
async fn leave(State(members): State<Arc<dyn Members>>, caller: Caller, Path(id): Path<GroupId>) -> Result<StatusCode> {
    members.leave(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
