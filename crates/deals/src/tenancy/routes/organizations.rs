//! Organizations, their audit log, and the catalogue of permissions.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, CursorPage, CursorQuery, IfMatch, Json, Page, PageQuery, Path, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    CatalogueEntry, Change, NewOrganization, Organization, OrganizationId, OrganizationPatch, Organizations,
    OwnMembership, catalogue, state::DealsState,
};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(permissions))
        .routes(routes!(organizations, create_organization))
        .routes(routes!(organization, change_organization, delete_organization))
        .routes(routes!(own_membership))
        .routes(routes!(changes))
}

/// List the permissions that roles can grant.
#[utoipa::path(get, path = "/permissions/", tag = "crm", responses((status = 200, body = Vec<CatalogueEntry>)))]
async fn permissions(_: Caller) -> Json<Vec<CatalogueEntry>> {
    Json(catalogue())
}

/// List the organizations that the caller is in.
///
/// Sorts by `id`, `name`.
#[utoipa::path(get, path = "/organizations/", tag = "crm", responses((status = 200, body = Page<Organization>)))]
async fn organizations(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    page: PageQuery,
) -> Result<Json<Page<Organization>>> {
    Ok(Json(organizations.organizations(&caller, page).await?))
}

/// Create an organization, with preset roles and a pipeline. The caller becomes its owner.
#[utoipa::path(post, path = "/organizations/", tag = "crm", responses((status = 201, body = Organization)))]
async fn create_organization(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    Json(body): Json<NewOrganization>,
) -> Result<(StatusCode, Tagged<Organization>)> {
    let found = organizations.create_organization(&caller, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Get an organization that the caller is in.
#[utoipa::path(get, path = "/organizations/{org}/", tag = "crm", responses((status = 200, body = Organization)))]
async fn organization(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
) -> Result<Tagged<Organization>> {
    let found = organizations.organization(&caller, org).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change an organization.
#[utoipa::path(patch, path = "/organizations/{org}/", tag = "crm", responses((status = 200, body = Organization)))]
async fn change_organization(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    known: IfMatch,
    Json(body): Json<OrganizationPatch>,
) -> Result<Tagged<Organization>> {
    let found = organizations.change_organization(&caller, org, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Delete an organization with its members, roles and pipelines.
///
/// Fails with 409 `protected` while it has clients.
#[utoipa::path(delete, path = "/organizations/{org}/", tag = "crm", responses((status = 204)))]
async fn delete_organization(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    known: IfMatch,
) -> Result<StatusCode> {
    organizations.delete_organization(&caller, org, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get the caller's membership and permissions in an organization.
#[utoipa::path(get, path = "/organizations/{org}/me/", tag = "crm", responses((status = 200, body = OwnMembership)))]
async fn own_membership(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
) -> Result<Json<OwnMembership>> {
    Ok(Json(organizations.own_membership(&caller, org).await?))
}

/// List the audit log of an organization, newest first.
#[utoipa::path(get, path = "/organizations/{org}/audit/", tag = "crm",
    responses((status = 200, body = CursorPage<Change>)),
)]
async fn changes(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    query: CursorQuery,
) -> Result<Json<CursorPage<Change>>> {
    Ok(Json(organizations.changes(&caller, org, query).await?))
}
