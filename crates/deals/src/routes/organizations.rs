//! Organizations: settings, log and trash.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{
    Caller, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Slice, SliceParams, SliceQuery,
    Tagged,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::DealsState;
use crate::{
    CatalogueEntry, Change, Deletion, DeletionId, Found, NewOrganization, Organization, OrganizationId,
    OrganizationPatch, Organizations, Own, Sought, Trash, catalogue,
};

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(permissions))
        .routes(routes!(organizations, create_organization))
        .routes(routes!(organization, change_organization, delete_organization))
        .routes(routes!(own_membership))
        .routes(routes!(search_organization))
        .routes(routes!(changes))
        .routes(routes!(trash))
        .routes(routes!(restore))
        .routes(routes!(purge))
}

/// What roles can grant: the words of the catalogue.
#[utoipa::path(get, path = "/permissions/", tag = "crm",
    responses((status = 200, body = Vec<CatalogueEntry>), (status = "4XX", body = Problem)),
)]
async fn permissions(_: Caller) -> Json<Vec<CatalogueEntry>> {
    Json(catalogue())
}

/// The organizations that the caller is in. Sorts by `id`, `name`.
#[utoipa::path(get, path = "/organizations/", tag = "crm",
    params(PageParams),
    responses((status = 200, body = Page<Organization>), (status = "4XX", body = Problem)),
)]
async fn organizations(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    page: PageQuery,
) -> Result<Json<Page<Organization>>> {
    Ok(Json(organizations.organizations(&caller, page).await?))
}

/// Make an organization, with the usual roles and a pipeline; the caller owns it.
#[utoipa::path(post, path = "/organizations/", tag = "crm",
    responses((status = 201, body = Organization), (status = "4XX", body = Problem)),
)]
async fn create_organization(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    Json(body): Json<NewOrganization>,
) -> Result<(StatusCode, Tagged<Organization>)> {
    let found = organizations.create_organization(&caller, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// An organization that the caller is in.
#[utoipa::path(get, path = "/organizations/{org}/", tag = "crm",
    params(("org" = OrganizationId, Path)),
    responses(
        (status = 200, body = Organization, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn organization(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
) -> Result<Tagged<Organization>> {
    let found = organizations.organization(&caller, org).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change an organization.
#[utoipa::path(patch, path = "/organizations/{org}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Organization, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
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

/// Remove an organization that has no clients, with its members, roles and pipelines; 409 `protected` while it has clients.
#[utoipa::path(delete, path = "/organizations/{org}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_organization(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    known: IfMatch,
) -> Result<StatusCode> {
    organizations.delete_organization(&caller, org, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the caller is in an organization, and what that lets them do.
#[utoipa::path(get, path = "/organizations/{org}/me/", tag = "crm",
    params(("org" = OrganizationId, Path)),
    responses((status = 200, body = Own), (status = "4XX", body = Problem)),
)]
async fn own_membership(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
) -> Result<Json<Own>> {
    Ok(Json(organizations.own_membership(&caller, org).await?))
}

/// Find clients, people at clients and deals that the caller may see: the newest ten of each.
#[utoipa::path(get, path = "/organizations/{org}/search/", tag = "crm",
    params(("org" = OrganizationId, Path), Sought),
    responses((status = 200, body = Found), (status = "4XX", body = Problem)),
)]
async fn search_organization(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(sought): Query<Sought>,
) -> Result<Json<Found>> {
    Ok(Json(organizations.search(&caller, org, sought.q).await?))
}

/// What was changed in an organization, newest first.
#[utoipa::path(get, path = "/organizations/{org}/audit/", tag = "crm",
    params(("org" = OrganizationId, Path), SliceParams),
    responses((status = 200, body = Slice<Change>), (status = "4XX", body = Problem)),
)]
async fn changes(
    State(organizations): State<Arc<dyn Organizations>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    slice: SliceQuery,
) -> Result<Json<Slice<Change>>> {
    Ok(Json(organizations.changes(&caller, org, slice).await?))
}

/// What is in the trash: all of it for those who may restore, else what the caller has put there.
#[utoipa::path(get, path = "/organizations/{org}/trash/", tag = "crm",
    params(("org" = OrganizationId, Path), PageParams),
    responses((status = 200, body = Page<Deletion>), (status = "4XX", body = Problem)),
)]
async fn trash(
    State(trash): State<Arc<dyn Trash>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Deletion>>> {
    Ok(Json(trash.trash(&caller, org, page).await?))
}

/// Bring back what went into the trash in one act, and nothing else; 409 `duplicate` where its place is taken.
#[utoipa::path(post, path = "/organizations/{org}/trash/{deletion}/restore/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deletion" = DeletionId, Path)),
    responses((status = 200, body = Deletion), (status = "4XX", body = Problem)),
)]
async fn restore(
    State(trash): State<Arc<dyn Trash>>,
    caller: Caller,
    Path((org, deletion)): Path<(OrganizationId, DeletionId)>,
) -> Result<Json<Deletion>> {
    Ok(Json(trash.restore(&caller, org, deletion).await?))
}

/// Remove for good what went into the trash in one act.
#[utoipa::path(delete, path = "/organizations/{org}/trash/{deletion}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deletion" = DeletionId, Path)),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn purge(
    State(trash): State<Arc<dyn Trash>>,
    caller: Caller,
    Path((org, deletion)): Path<(OrganizationId, DeletionId)>,
) -> Result<StatusCode> {
    trash.purge(&caller, org, deletion).await?;
    Ok(StatusCode::NO_CONTENT)
}
