//! Members of organizations.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Member, MemberId, MemberPatch, MemberStatus, Members, NewMember, OrganizationId, Reassign, Reassigned,
    state::DealsState,
};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(organization_members, add_member))
        .routes(routes!(member, change_member, remove_organization_member))
        .routes(routes!(deactivate_member))
        .routes(routes!(reassign))
}

/// List the members of an organization.
#[utoipa::path(get, path = "/organizations/{org}/members/", tag = "crm",
    responses((status = 200, body = Page<Member>)),
)]
async fn organization_members(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Member>>> {
    Ok(Json(members.members(&caller, org, page).await?))
}

/// Invite a user as a member. Staff add members directly.
///
/// The role cannot exceed the caller's permissions.
#[utoipa::path(post, path = "/organizations/{org}/members/", tag = "crm", responses((status = 201, body = Member)))]
async fn add_member(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewMember>,
) -> Result<(StatusCode, Tagged<Member>)> {
    let found = members.add_member(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Get a member of an organization.
#[utoipa::path(get, path = "/organizations/{org}/members/{member}/", tag = "crm",
    responses((status = 200, body = Member)),
)]
async fn member(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, member)): Path<(OrganizationId, MemberId)>,
) -> Result<Tagged<Member>> {
    let found = members.member(&caller, org, member).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change or deactivate a member.
///
/// Fails with 409 `last_owner` if the organization would have no active owner.
#[utoipa::path(patch, path = "/organizations/{org}/members/{member}/", tag = "crm",
    responses((status = 200, body = Member)),
)]
async fn change_member(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, member)): Path<(OrganizationId, MemberId)>,
    known: IfMatch,
    Json(body): Json<MemberPatch>,
) -> Result<Tagged<Member>> {
    let found = members.change_member(&caller, org, member, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Remove a member.
///
/// Fails with 409 `protected` and the blockers while the member is the owner or creator of deals.
#[utoipa::path(delete, path = "/organizations/{org}/members/{member}/", tag = "crm", responses((status = 204)))]
async fn remove_organization_member(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, member)): Path<(OrganizationId, MemberId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    members.remove_member(&caller, org, member, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deactivate a member. They lose access at once and still own their clients, deals and tasks.
#[utoipa::path(post, path = "/organizations/{org}/members/{member}/deactivate/", tag = "crm",
    responses((status = 200, body = Member)),
)]
async fn deactivate_member(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, member)): Path<(OrganizationId, MemberId)>,
    known: IfMatch,
) -> Result<Tagged<Member>> {
    let found = members
        .change_member(
            &caller,
            org,
            member,
            MemberPatch { status: Some(MemberStatus::Deactivated), ..MemberPatch::default() },
            known,
        )
        .await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Reassign the clients, deals and tasks of a member to another member.
#[utoipa::path(post, path = "/organizations/{org}/members/{member}/reassign/", tag = "crm",
    responses((status = 200, body = Reassigned)),
)]
async fn reassign(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, member)): Path<(OrganizationId, MemberId)>,
    Json(body): Json<Reassign>,
) -> Result<Json<Reassigned>> {
    Ok(Json(members.reassign(&caller, org, member, body).await?))
}
