//! Lists as people want to see them again.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Tagged};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::DealsState;
use crate::{NewView, OrganizationId, View, ViewId, ViewPatch, Viewed, Views};

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new().routes(routes!(views, create_view)).routes(routes!(view, change_view, delete_view))
}

/// Which views are asked for.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Of {
    /// Those of this list.
    entity: Option<Viewed>,
}

/// The views that the caller may use: their own, and those that are shared with them.
#[utoipa::path(get, path = "/organizations/{org}/views/", tag = "crm",
    params(("org" = OrganizationId, Path), Of, PageParams),
    responses((status = 200, body = Page<View>), (status = "4XX", body = Problem)),
)]
async fn views(
    State(all): State<Arc<dyn Views>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(of): Query<Of>,
    page: PageQuery,
) -> Result<Json<Page<View>>> {
    Ok(Json(all.views(&caller, org, of.entity, page).await?))
}

/// Keep a view. Its filters have to be such as its list understands.
#[utoipa::path(post, path = "/organizations/{org}/views/", tag = "crm",
    params(("org" = OrganizationId, Path)),
    responses((status = 201, body = View), (status = "4XX", body = Problem)),
)]
async fn create_view(
    State(all): State<Arc<dyn Views>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewView>,
) -> Result<(StatusCode, Tagged<View>)> {
    let found = all.create_view(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// A view that the caller may use.
#[utoipa::path(get, path = "/organizations/{org}/views/{view}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("view" = ViewId, Path)),
    responses(
        (status = 200, body = View, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn view(
    State(all): State<Arc<dyn Views>>,
    caller: Caller,
    Path((org, view)): Path<(OrganizationId, ViewId)>,
) -> Result<Tagged<View>> {
    let found = all.view(&caller, org, view).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a view of one's own.
#[utoipa::path(patch, path = "/organizations/{org}/views/{view}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("view" = ViewId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = View, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_view(
    State(all): State<Arc<dyn Views>>,
    caller: Caller,
    Path((org, view)): Path<(OrganizationId, ViewId)>,
    known: IfMatch,
    Json(body): Json<ViewPatch>,
) -> Result<Tagged<View>> {
    let found = all.change_view(&caller, org, view, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Remove a view of one's own.
#[utoipa::path(delete, path = "/organizations/{org}/views/{view}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("view" = ViewId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_view(
    State(all): State<Arc<dyn Views>>,
    caller: Caller,
    Path((org, view)): Path<(OrganizationId, ViewId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    all.delete_view(&caller, org, view, known).await?;
    Ok(StatusCode::NO_CONTENT)
}
