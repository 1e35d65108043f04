//! Boards.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, Json, Path, Query, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{Board, BoardQuery, Boards, OrganizationId, PipelineId, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new().routes(routes!(board))
}

/// Get a pipeline with the first deals of each stage, the number of deals, and their totals per currency.
///
/// Read on with `?stage=…&after=…`.
#[utoipa::path(get, path = "/organizations/{org}/pipelines/{pipeline}/board/", tag = "crm",
    responses((status = 200, body = Board)),
)]
async fn board(
    State(boards): State<Arc<dyn Boards>>,
    caller: Caller,
    Path((org, pipeline)): Path<(OrganizationId, PipelineId)>,
    Query(query): Query<BoardQuery>,
) -> Result<Json<Board>> {
    Ok(Json(boards.board(&caller, org, pipeline, query).await?))
}
