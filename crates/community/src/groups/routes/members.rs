//! Members of groups.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Query, Result, UserId, routes};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    groups::{Group, Joined, Member, MemberFilter, Members, Membership, MembershipFilter},
    id::GroupId,
    state::CommunityState,
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
        .routes(routes!(memberships))
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
