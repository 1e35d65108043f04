//! Invites to groups.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    groups::{Group, Invitation, Invite, Invites, IssuedInvite, NewInvite},
    id::{GroupId, InviteId},
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(invites, invite))
        .routes(routes!(revoke_invite))
        .routes(routes!(accept_invite))
        .routes(routes!(invitations))
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
