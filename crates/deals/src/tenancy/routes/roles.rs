//! Roles.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{NewRole, OrganizationId, Role, RoleId, RolePatch, Roles, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new().routes(routes!(roles, create_role)).routes(routes!(role, change_role, delete_role))
}

/// List the roles of an organization.
///
/// Sorts by `id`, `name`.
#[utoipa::path(get, path = "/organizations/{org}/roles/", tag = "crm", responses((status = 200, body = Page<Role>)))]
async fn roles(
    State(roles): State<Arc<dyn Roles>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Role>>> {
    Ok(Json(roles.roles(&caller, org, page).await?))
}

/// Create a role. It cannot exceed the caller's permissions.
#[utoipa::path(post, path = "/organizations/{org}/roles/", tag = "crm", responses((status = 201, body = Role)))]
async fn create_role(
    State(roles): State<Arc<dyn Roles>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewRole>,
) -> Result<(StatusCode, Tagged<Role>)> {
    let found = roles.create_role(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Get a role.
#[utoipa::path(get, path = "/organizations/{org}/roles/{role}/", tag = "crm", responses((status = 200, body = Role)))]
async fn role(
    State(roles): State<Arc<dyn Roles>>,
    caller: Caller,
    Path((org, role)): Path<(OrganizationId, RoleId)>,
) -> Result<Tagged<Role>> {
    let found = roles.role(&caller, org, role).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a role other than the caller's own.
#[utoipa::path(patch, path = "/organizations/{org}/roles/{role}/", tag = "crm",
    responses((status = 200, body = Role)),
)]
async fn change_role(
    State(roles): State<Arc<dyn Roles>>,
    caller: Caller,
    Path((org, role)): Path<(OrganizationId, RoleId)>,
    known: IfMatch,
    Json(body): Json<RolePatch>,
) -> Result<Tagged<Role>> {
    let found = roles.change_role(&caller, org, role, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Delete a role that no member has.
#[utoipa::path(delete, path = "/organizations/{org}/roles/{role}/", tag = "crm", responses((status = 204)))]
async fn delete_role(
    State(roles): State<Arc<dyn Roles>>,
    caller: Caller,
    Path((org, role)): Path<(OrganizationId, RoleId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    roles.delete_role(&caller, org, role, known).await?;
    Ok(StatusCode::NO_CONTENT)
}
