//! Roles, teams and members.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Result, Tagged};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::DealsState;
use crate::{
    Handover, Member, MemberId, MemberPatch, MemberStatus, Members, NewMember, NewRole, NewTeam, OrganizationId,
    Reassigned, Role, RoleId, RolePatch, Team, TeamId, TeamPatch,
};

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(roles, create_role))
        .routes(routes!(role, change_role, delete_role))
        .routes(routes!(teams, create_team))
        .routes(routes!(team, change_team, delete_team))
        .routes(routes!(organization_members, add_member))
        .routes(routes!(member, change_member, remove_organization_member))
        .routes(routes!(deactivate_member))
        .routes(routes!(reassign))
}

/// The roles of an organization. Sorts by `id`, `name`.
#[utoipa::path(get, path = "/organizations/{org}/roles/", tag = "crm",
    params(("org" = OrganizationId, Path), PageParams),
    responses((status = 200, body = Page<Role>), (status = "4XX", body = Problem)),
)]
async fn roles(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Role>>> {
    Ok(Json(members.roles(&caller, org, page).await?))
}

/// Make a role that grants no more than the caller's.
#[utoipa::path(post, path = "/organizations/{org}/roles/", tag = "crm",
    params(("org" = OrganizationId, Path)),
    responses((status = 201, body = Role), (status = "4XX", body = Problem)),
)]
async fn create_role(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewRole>,
) -> Result<(StatusCode, Tagged<Role>)> {
    let found = members.create_role(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// A role.
#[utoipa::path(get, path = "/organizations/{org}/roles/{role}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("role" = RoleId, Path)),
    responses(
        (status = 200, body = Role, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn role(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, role)): Path<(OrganizationId, RoleId)>,
) -> Result<Tagged<Role>> {
    let found = members.role(&caller, org, role).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a role, but not one's own.
#[utoipa::path(patch, path = "/organizations/{org}/roles/{role}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("role" = RoleId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Role, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_role(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, role)): Path<(OrganizationId, RoleId)>,
    known: IfMatch,
    Json(body): Json<RolePatch>,
) -> Result<Tagged<Role>> {
    let found = members.change_role(&caller, org, role, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Remove a role that nobody has.
#[utoipa::path(delete, path = "/organizations/{org}/roles/{role}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("role" = RoleId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_role(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, role)): Path<(OrganizationId, RoleId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    members.delete_role(&caller, org, role, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The teams of an organization. Sorts by `id`, `name`.
#[utoipa::path(get, path = "/organizations/{org}/teams/", tag = "crm",
    params(("org" = OrganizationId, Path), PageParams),
    responses((status = 200, body = Page<Team>), (status = "4XX", body = Problem)),
)]
async fn teams(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Team>>> {
    Ok(Json(members.teams(&caller, org, page).await?))
}

/// Make a team.
#[utoipa::path(post, path = "/organizations/{org}/teams/", tag = "crm",
    params(("org" = OrganizationId, Path)),
    responses((status = 201, body = Team), (status = "4XX", body = Problem)),
)]
async fn create_team(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewTeam>,
) -> Result<(StatusCode, Tagged<Team>)> {
    let found = members.create_team(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// A team.
#[utoipa::path(get, path = "/organizations/{org}/teams/{team}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("team" = TeamId, Path)),
    responses(
        (status = 200, body = Team, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn team(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, team)): Path<(OrganizationId, TeamId)>,
) -> Result<Tagged<Team>> {
    let found = members.team(&caller, org, team).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a team.
#[utoipa::path(patch, path = "/organizations/{org}/teams/{team}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("team" = TeamId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Team, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_team(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, team)): Path<(OrganizationId, TeamId)>,
    known: IfMatch,
    Json(body): Json<TeamPatch>,
) -> Result<Tagged<Team>> {
    let found = members.change_team(&caller, org, team, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Remove a team that is empty.
#[utoipa::path(delete, path = "/organizations/{org}/teams/{team}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("team" = TeamId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_team(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, team)): Path<(OrganizationId, TeamId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    members.delete_team(&caller, org, team, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who is in an organization.
#[utoipa::path(get, path = "/organizations/{org}/members/", tag = "crm",
    params(("org" = OrganizationId, Path), PageParams),
    responses((status = 200, body = Page<Member>), (status = "4XX", body = Problem)),
)]
async fn organization_members(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Member>>> {
    Ok(Json(members.members(&caller, org, page).await?))
}

/// Take somebody in, with a role that grants no more than the caller's.
#[utoipa::path(post, path = "/organizations/{org}/members/", tag = "crm",
    params(("org" = OrganizationId, Path)),
    responses((status = 201, body = Member), (status = "4XX", body = Problem)),
)]
async fn add_member(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewMember>,
) -> Result<(StatusCode, Tagged<Member>)> {
    let found = members.add_member(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Somebody in an organization.
#[utoipa::path(get, path = "/organizations/{org}/members/{member}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("member" = MemberId, Path)),
    responses(
        (status = 200, body = Member, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn member(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, member)): Path<(OrganizationId, MemberId)>,
) -> Result<Tagged<Member>> {
    let found = members.member(&caller, org, member).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change what somebody may do, or shut them out; 409 `last_owner` where nobody else owns the organization.
#[utoipa::path(patch, path = "/organizations/{org}/members/{member}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("member" = MemberId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Member, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
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

/// Remove somebody; 409 `protected` with what keeps them.
#[utoipa::path(delete, path = "/organizations/{org}/members/{member}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("member" = MemberId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn remove_organization_member(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, member)): Path<(OrganizationId, MemberId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    members.remove_member(&caller, org, member, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shut somebody out at once; what they own and did stays theirs.
#[utoipa::path(post, path = "/organizations/{org}/members/{member}/deactivate/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("member" = MemberId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Member, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
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

/// Hand over what somebody owns, all in one act.
#[utoipa::path(post, path = "/organizations/{org}/members/{member}/reassign/", tag = "crm",
    params(("org" = OrganizationId, Path), ("member" = MemberId, Path)),
    responses((status = 200, body = Reassigned), (status = "4XX", body = Problem)),
)]
async fn reassign(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path((org, member)): Path<(OrganizationId, MemberId)>,
    Json(body): Json<Handover>,
) -> Result<Json<Reassigned>> {
    Ok(Json(members.reassign(&caller, org, member, body).await?))
}
