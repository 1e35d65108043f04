//! Invitations to organizations, and leaving them.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{Invitation, Invitations, Member, MemberId, OrganizationId, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(organization_invitations))
        .routes(routes!(accept_invitation))
        .routes(routes!(decline_invitation))
        .routes(routes!(leave_organization))
}

/// List the caller's pending invitations to organizations, newest first.
#[utoipa::path(get, path = "/invitations/", tag = "crm", responses((status = 200, body = Page<Invitation>)))]
async fn organization_invitations(
    State(invitations): State<Arc<dyn Invitations>>,
    caller: Caller,
    page: PageQuery,
) -> Result<Json<Page<Invitation>>> {
    Ok(Json(invitations.invitations(&caller, page).await?))
}

/// Accept an invitation and become a member of the organization.
#[utoipa::path(post, path = "/invitations/{member}/accept/", tag = "crm", responses((status = 200, body = Member)))]
async fn accept_invitation(
    State(invitations): State<Arc<dyn Invitations>>,
    caller: Caller,
    Path(member): Path<MemberId>,
) -> Result<Json<Member>> {
    Ok(Json(invitations.accept_invitation(&caller, member).await?))
}

/// Decline an invitation.
#[utoipa::path(post, path = "/invitations/{member}/decline/", tag = "crm", responses((status = 204)))]
async fn decline_invitation(
    State(invitations): State<Arc<dyn Invitations>>,
    caller: Caller,
    Path(member): Path<MemberId>,
) -> Result<StatusCode> {
    invitations.decline_invitation(&caller, member).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leave an organization. What the caller owns is reassigned to its owner. The last owner cannot leave.
#[utoipa::path(post, path = "/organizations/{org}/leave/", tag = "crm", responses((status = 204)))]
async fn leave_organization(
    State(invitations): State<Arc<dyn Invitations>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
) -> Result<StatusCode> {
    invitations.leave_organization(&caller, org).await?;
    Ok(StatusCode::NO_CONTENT)
}
