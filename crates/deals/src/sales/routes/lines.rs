//! Line items of deals.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Path, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{DealId, Line, LineId, LineItems, LinePatch, NewLine, OrganizationId, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new().routes(routes!(lines, add_line)).routes(routes!(change_line, remove_line))
}

/// List the line items of a deal in order, at most 100.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/lines/", tag = "crm",
    responses((status = 200, body = Vec<Line>)),
)]
async fn lines(
    State(lines): State<Arc<dyn LineItems>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
) -> Result<Json<Vec<Line>>> {
    Ok(Json(lines.lines(&caller, org, deal.into()).await?))
}

/// Add a line item. From the first one on, the deal's value is the total of its line items.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/lines/", tag = "crm",
    responses((status = 201, body = Line)),
)]
async fn add_line(
    State(lines): State<Arc<dyn LineItems>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    Json(body): Json<NewLine>,
) -> Result<(StatusCode, Tagged<Line>)> {
    let found = lines.add_line(&caller, org, deal.into(), body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Change a line item and update the deal's value.
#[utoipa::path(patch, path = "/organizations/{org}/deals/{deal}/lines/{line}/", tag = "crm",
    responses((status = 200, body = Line)),
)]
async fn change_line(
    State(lines): State<Arc<dyn LineItems>>,
    caller: Caller,
    Path((org, deal, line)): Path<(OrganizationId, DealId, LineId)>,
    known: IfMatch,
    Json(body): Json<LinePatch>,
) -> Result<Tagged<Line>> {
    let found = lines.change_line(&caller, org, deal.into(), line, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Remove a line item and update the deal's value. Removing the last one leaves the value as it is.
#[utoipa::path(delete, path = "/organizations/{org}/deals/{deal}/lines/{line}/", tag = "crm",
    responses((status = 204)),
)]
async fn remove_line(
    State(lines): State<Arc<dyn LineItems>>,
    caller: Caller,
    Path((org, deal, line)): Path<(OrganizationId, DealId, LineId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    lines.remove_line(&caller, org, deal.into(), line, known).await?;
    Ok(StatusCode::NO_CONTENT)
}
