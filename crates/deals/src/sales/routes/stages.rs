//! Stages of pipelines.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Path, Query, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    NewStage, OrganizationId, Pipeline, PipelineId, Stage, StageId, StageOrder, StagePatch, StageRemoval, Stages,
    state::DealsState,
};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(create_stage))
        .routes(routes!(order_stages))
        .routes(routes!(change_stage, delete_stage))
}

/// Add a stage at the end of a pipeline.
#[utoipa::path(post, path = "/organizations/{org}/pipelines/{pipeline}/stages/", tag = "crm",
    responses((status = 201, body = Stage)),
)]
async fn create_stage(
    State(stages): State<Arc<dyn Stages>>,
    caller: Caller,
    Path((org, pipeline)): Path<(OrganizationId, PipelineId)>,
    Json(body): Json<NewStage>,
) -> Result<(StatusCode, Tagged<Stage>)> {
    let found = stages.create_stage(&caller, org, pipeline, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Reorder the stages of a pipeline.
#[utoipa::path(post, path = "/organizations/{org}/pipelines/{pipeline}/stages/reorder/", tag = "crm",
    responses((status = 200, body = Pipeline)),
)]
async fn order_stages(
    State(stages): State<Arc<dyn Stages>>,
    caller: Caller,
    Path((org, pipeline)): Path<(OrganizationId, PipelineId)>,
    Json(body): Json<StageOrder>,
) -> Result<Tagged<Pipeline>> {
    let found = stages.order_stages(&caller, org, pipeline, body).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a stage.
#[utoipa::path(patch, path = "/organizations/{org}/pipelines/{pipeline}/stages/{stage}/", tag = "crm",
    responses((status = 200, body = Stage)),
)]
async fn change_stage(
    State(stages): State<Arc<dyn Stages>>,
    caller: Caller,
    Path((org, pipeline, stage)): Path<(OrganizationId, PipelineId, StageId)>,
    known: IfMatch,
    Json(body): Json<StagePatch>,
) -> Result<Tagged<Stage>> {
    let found = stages.change_stage(&caller, org, pipeline, stage, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Delete a stage. If it has deals and `move_to` names no stage for them, the request fails with 409 `protected`.
#[utoipa::path(delete, path = "/organizations/{org}/pipelines/{pipeline}/stages/{stage}/", tag = "crm",
    responses((status = 204)),
)]
async fn delete_stage(
    State(stages): State<Arc<dyn Stages>>,
    caller: Caller,
    Path((org, pipeline, stage)): Path<(OrganizationId, PipelineId, StageId)>,
    Query(how): Query<StageRemoval>,
    known: IfMatch,
) -> Result<StatusCode> {
    stages.delete_stage(&caller, org, pipeline, stage, how.move_to, known).await?;
    Ok(StatusCode::NO_CONTENT)
}
