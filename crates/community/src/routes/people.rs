use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{
    Caller, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Slice, SliceParams, SliceQuery, UserId,
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::CommunityState;
use crate::{
    Ban, Group, GroupId, Groups, Invitation, Invite, InviteId, IssuedInvite, JoinRequest, Joined, LogEntry, Member,
    MemberFilter, Membership, MembershipFilter, NewBan, NewInvite, RequestId,
};

/// Somebody.
#[derive(Deserialize, ToSchema)]
pub(super) struct Whom {
    /// Who.
    pub(super) user_id: UserId,
}

/// How to join.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct Joining {
    /// An invite's token, for a group that cannot be joined without.
    invite_token: Option<String>,
    /// Something for the moderators to read, where they decide.
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

/// Those who are in a group, the longest first; for its members.
#[utoipa::path(get, path = "/groups/{id}/members/", tag = "community", params(("id" = GroupId, Path), MemberFilter, PageParams), responses((status = 200, body = Page<Member>), (status = "4XX", body = Problem)))]
async fn members(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Query(filter): Query<MemberFilter>,
    page: PageQuery,
) -> Result<Json<Page<Member>>> {
    Ok(Json(groups.members(&caller, id, filter, page).await?))
}

/// Remove somebody from a group, for its moderators.
#[utoipa::path(delete, path = "/groups/{id}/members/{user_id}/", tag = "community", params(("id" = GroupId, Path), ("user_id" = UserId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn remove_member(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path((id, user_id)): Path<(GroupId, UserId)>,
) -> Result<StatusCode> {
    groups.remove_member(&caller, id, user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a member a moderator, for moderators.
#[utoipa::path(post, path = "/groups/{id}/moderators/", tag = "community", params(("id" = GroupId, Path)), responses((status = 200, body = Group), (status = "4XX", body = Problem)))]
async fn add_moderator(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<Whom>,
) -> Result<Json<Group>> {
    Ok(Json(groups.add_moderator(&caller, id, body.user_id).await?))
}

/// Make a moderator a member again, for moderators.
#[utoipa::path(delete, path = "/groups/{id}/moderators/{user_id}/", tag = "community", params(("id" = GroupId, Path), ("user_id" = UserId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn remove_moderator(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path((id, user_id)): Path<(GroupId, UserId)>,
) -> Result<StatusCode> {
    groups.remove_moderator(&caller, id, user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hand a group over to one of its members, for its owner and for staff.
#[utoipa::path(post, path = "/groups/{id}/transfer/", tag = "community", params(("id" = GroupId, Path)), responses((status = 200, body = Group), (status = "4XX", body = Problem)))]
async fn transfer(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<Whom>,
) -> Result<Json<Group>> {
    Ok(Json(groups.transfer(&caller, id, body.user_id).await?))
}

/// The requests to join that nobody has decided about, for moderators.
#[utoipa::path(get, path = "/groups/{id}/requests/", tag = "community", params(("id" = GroupId, Path), PageParams), responses((status = 200, body = Page<JoinRequest>), (status = "4XX", body = Problem)))]
async fn requests(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<JoinRequest>>> {
    Ok(Json(groups.requests(&caller, id, page).await?))
}

/// Let somebody in, for moderators.
#[utoipa::path(post, path = "/groups/{id}/requests/{request_id}/approve/", tag = "community", params(("id" = GroupId, Path), ("request_id" = RequestId, Path)), responses((status = 200, body = JoinRequest), (status = "4XX", body = Problem)))]
async fn approve_request(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path((id, request_id)): Path<(GroupId, RequestId)>,
) -> Result<Json<JoinRequest>> {
    Ok(Json(groups.decide_request(&caller, id, request_id, true).await?))
}

/// Refuse to let somebody in, for moderators. They may ask again.
#[utoipa::path(post, path = "/groups/{id}/requests/{request_id}/deny/", tag = "community", params(("id" = GroupId, Path), ("request_id" = RequestId, Path)), responses((status = 200, body = JoinRequest), (status = "4XX", body = Problem)))]
async fn deny_request(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path((id, request_id)): Path<(GroupId, RequestId)>,
) -> Result<Json<JoinRequest>> {
    Ok(Json(groups.decide_request(&caller, id, request_id, false).await?))
}

/// The invites of a group, newest first, for moderators.
#[utoipa::path(get, path = "/groups/{id}/invites/", tag = "community", params(("id" = GroupId, Path), PageParams), responses((status = 200, body = Page<Invite>), (status = "4XX", body = Problem)))]
async fn invites(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<Invite>>> {
    Ok(Json(groups.invites(&caller, id, page).await?))
}

/// Invite a person, an address, or with neither whoever has the link; for moderators, and for members where the group lets them.
#[utoipa::path(post, path = "/groups/{id}/invites/", tag = "community", params(("id" = GroupId, Path)), responses((status = 201, body = IssuedInvite), (status = "4XX", body = Problem)))]
async fn invite(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<NewInvite>,
) -> Result<(StatusCode, Json<IssuedInvite>)> {
    Ok((StatusCode::CREATED, Json(groups.invite(&caller, id, body).await?)))
}

/// Take an invite back, for moderators.
#[utoipa::path(delete, path = "/groups/{id}/invites/{invite_id}/", tag = "community", params(("id" = GroupId, Path), ("invite_id" = InviteId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn revoke_invite(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path((id, invite_id)): Path<(GroupId, InviteId)>,
) -> Result<StatusCode> {
    groups.revoke_invite(&caller, id, invite_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Join the group that an invite is for.
#[utoipa::path(post, path = "/invites/{token}/accept/", tag = "community", params(("token" = String, Path)), responses((status = 200, body = Group), (status = "4XX", body = Problem)))]
async fn accept_invite(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(token): Path<String>,
) -> Result<Json<Group>> {
    Ok(Json(groups.accept_invite(&caller, token).await?))
}

/// The groups that the caller is invited to by name, at most 100.
#[utoipa::path(get, path = "/invites/", tag = "community", responses((status = 200, body = Vec<Invitation>), (status = "4XX", body = Problem)))]
async fn invitations(State(groups): State<Arc<dyn Groups>>, caller: Caller) -> Result<Json<Vec<Invitation>>> {
    Ok(Json(groups.invitations(&caller).await?))
}

/// Those who may not be in a group, for moderators.
#[utoipa::path(get, path = "/groups/{id}/bans/", tag = "community", params(("id" = GroupId, Path), PageParams), responses((status = 200, body = Page<Ban>), (status = "4XX", body = Problem)))]
async fn bans(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<Ban>>> {
    Ok(Json(groups.bans(&caller, id, page).await?))
}

/// Keep somebody out of a group, for a time or for good, and remove them if they are in it; for moderators.
#[utoipa::path(post, path = "/groups/{id}/bans/", tag = "community", params(("id" = GroupId, Path)), responses((status = 201, body = Ban), (status = "4XX", body = Problem)))]
async fn ban(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<NewBan>,
) -> Result<(StatusCode, Json<Ban>)> {
    Ok((StatusCode::CREATED, Json(groups.ban(&caller, id, body).await?)))
}

/// Let somebody come again, for moderators.
#[utoipa::path(delete, path = "/groups/{id}/bans/{user_id}/", tag = "community", params(("id" = GroupId, Path), ("user_id" = UserId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn unban(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path((id, user_id)): Path<(GroupId, UserId)>,
) -> Result<StatusCode> {
    groups.unban(&caller, id, user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What was done to keep order in a group, for moderators.
#[utoipa::path(get, path = "/groups/{id}/log/", tag = "community", params(("id" = GroupId, Path), SliceParams), responses((status = 200, body = Slice<LogEntry>), (status = "4XX", body = Problem)))]
async fn log(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    slice: SliceQuery,
) -> Result<Json<Slice<LogEntry>>> {
    Ok(Json(groups.log(&caller, id, slice).await?))
}

/// Who is in which group: the own memberships, or those of a group that the caller sees into.
#[utoipa::path(get, path = "/group-memberships/", tag = "community", params(MembershipFilter, PageParams), responses((status = 200, body = Page<Membership>), (status = "4XX", body = Problem)))]
async fn memberships(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Query(filter): Query<MembershipFilter>,
    page: PageQuery,
) -> Result<Json<Page<Membership>>> {
    Ok(Json(groups.memberships(&caller, filter, page).await?))
}

/// Join a group: a public one at once, a private one that shows its card by asking, any with an invite.
#[utoipa::path(post, path = "/groups/{id}/join/", tag = "community", params(("id" = GroupId, Path)),
    request_body(content = Option<Joining>),
    responses(
        (status = 201, body = Joined, description = "In it from now on"),
        (status = 200, body = Joined, description = "In it before"),
        (status = 202, body = Joined, description = "Asked; a moderator decides"),
        (status = "4XX", body = Problem),
    ),
)]
async fn join(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    body: Option<Json<Joining>>,
) -> Result<(StatusCode, Json<Joined>)> {
    let Json(Joining { invite_token, note }) = body.unwrap_or(Json(Joining::default()));
    let joined = groups.join(&caller, id, invite_token, note).await?;
    let status = match joined {
        Joined::Member { new: true } => StatusCode::CREATED,
        Joined::Member { new: false } => StatusCode::OK,
        Joined::Requested { .. } => StatusCode::ACCEPTED,
    };
    Ok((status, Json(joined)))
}

/// Leave a group, or take a request to join back. An owner hands over to the oldest moderator.
#[utoipa::path(post, path = "/groups/{id}/leave/", tag = "community", params(("id" = GroupId, Path)), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn leave(State(groups): State<Arc<dyn Groups>>, caller: Caller, Path(id): Path<GroupId>) -> Result<StatusCode> {
    groups.leave(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
