//! Saved views of lists.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Query, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{NewView, OrganizationId, SavedViews, View, ViewId, ViewPatch, Viewed, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new().routes(routes!(views, create_view)).routes(routes!(view, change_view, delete_view))
}

/// Filters of the list of saved views.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ViewsQuery {
    /// Only views of this list.
    entity: Option<Viewed>,
}

/// List the saved views that the caller may use: their own and those shared with them.
#[utoipa::path(get, path = "/organizations/{org}/views/", tag = "crm", responses((status = 200, body = Page<View>)))]
async fn views(
    State(saved_views): State<Arc<dyn SavedViews>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(query): Query<ViewsQuery>,
    page: PageQuery,
) -> Result<Json<Page<View>>> {
    Ok(Json(saved_views.views(&caller, org, query.entity, page).await?))
}

/// Save a view. Its filters must be valid for its list.
#[utoipa::path(post, path = "/organizations/{org}/views/", tag = "crm", responses((status = 201, body = View)))]
async fn create_view(
    State(saved_views): State<Arc<dyn SavedViews>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewView>,
) -> Result<(StatusCode, Tagged<View>)> {
    let found = saved_views.create_view(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Get a saved view.
#[utoipa::path(get, path = "/organizations/{org}/views/{view}/", tag = "crm", responses((status = 200, body = View)))]
async fn view(
    State(saved_views): State<Arc<dyn SavedViews>>,
    caller: Caller,
    Path((org, view)): Path<(OrganizationId, ViewId)>,
) -> Result<Tagged<View>> {
    let found = saved_views.view(&caller, org, view).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a saved view. Those with the permission to share views may change shared views of others.
#[utoipa::path(patch, path = "/organizations/{org}/views/{view}/", tag = "crm",
    responses((status = 200, body = View)),
)]
async fn change_view(
    State(saved_views): State<Arc<dyn SavedViews>>,
    caller: Caller,
    Path((org, view)): Path<(OrganizationId, ViewId)>,
    known: IfMatch,
    Json(body): Json<ViewPatch>,
) -> Result<Tagged<View>> {
    let found = saved_views.change_view(&caller, org, view, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Delete a saved view. Those with the permission to share views may delete shared views of others.
#[utoipa::path(delete, path = "/organizations/{org}/views/{view}/", tag = "crm", responses((status = 204)))]
async fn delete_view(
    State(saved_views): State<Arc<dyn SavedViews>>,
    caller: Caller,
    Path((org, view)): Path<(OrganizationId, ViewId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    saved_views.delete_view(&caller, org, view, known).await?;
    Ok(StatusCode::NO_CONTENT)
}
