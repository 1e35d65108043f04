//! Activities.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Json, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Activities, Activity, ClientId, NewActivity, OrganizationId, extract::target::DealPath, state::DealsState,
};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(timeline))
        .routes(routes!(log_with_client))
        .routes(routes!(activities, log_activity))
}

/// List the activities with a client and about its deals, newest first.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/timeline/", tag = "crm",
    responses((status = 200, body = CursorPage<Activity>)),
)]
async fn timeline(
    State(activities): State<Arc<dyn Activities>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<Activity>>> {
    Ok(Json(activities.timeline(&caller, org, client, cursor).await?))
}

/// Log an activity with a client.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/activity/", tag = "crm",
    responses((status = 201, body = Activity)),
)]
async fn log_with_client(
    State(activities): State<Arc<dyn Activities>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    Json(body): Json<NewActivity>,
) -> Result<(StatusCode, Json<Activity>)> {
    Ok((StatusCode::CREATED, Json(activities.log_with_client(&caller, org, client, body).await?)))
}

/// List the activities about a deal, newest first.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/activity/", tag = "crm",
    responses((status = 200, body = CursorPage<Activity>)),
)]
pub(crate) async fn activities(
    State(activities): State<Arc<dyn Activities>>,
    caller: Caller,
    DealPath { org, deal }: DealPath,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<Activity>>> {
    Ok(Json(activities.activities(&caller, org, deal, cursor).await?))
}

/// Log an activity about a deal.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/activity/", tag = "crm",
    responses((status = 201, body = Activity)),
)]
pub(crate) async fn log_activity(
    State(activities): State<Arc<dyn Activities>>,
    caller: Caller,
    DealPath { org, deal }: DealPath,
    Json(body): Json<NewActivity>,
) -> Result<(StatusCode, Json<Activity>)> {
    Ok((StatusCode::CREATED, Json(activities.log_activity(&caller, org, deal, body).await?)))
}
