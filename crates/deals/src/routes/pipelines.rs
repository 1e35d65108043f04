//! Pipelines, stages and the board.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Tagged};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::DealsState;
use crate::{
    Board, Lane, NewPipeline, NewStage, OrganizationId, Pipeline, PipelineId, PipelinePatch, Pipelines, Stage, StageId,
    StageOrder, StagePatch, StageRemoval,
};

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(pipelines, create_pipeline))
        .routes(routes!(pipeline, change_pipeline, delete_pipeline))
        .routes(routes!(create_stage))
        .routes(routes!(order_stages))
        .routes(routes!(change_stage, delete_stage))
        .routes(routes!(board))
}

/// The pipelines of an organization, with their stages. Sorts by `id`, `position`.
#[utoipa::path(get, path = "/organizations/{org}/pipelines/", tag = "crm",
    params(("org" = OrganizationId, Path), PageParams),
    responses((status = 200, body = Page<Pipeline>), (status = "4XX", body = Problem)),
)]
async fn pipelines(
    State(pipelines): State<Arc<dyn Pipelines>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Pipeline>>> {
    Ok(Json(pipelines.pipelines(&caller, org, page).await?))
}

/// Make a pipeline; with the usual stages, where none are given.
#[utoipa::path(post, path = "/organizations/{org}/pipelines/", tag = "crm",
    params(("org" = OrganizationId, Path)),
    responses((status = 201, body = Pipeline), (status = "4XX", body = Problem)),
)]
async fn create_pipeline(
    State(pipelines): State<Arc<dyn Pipelines>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewPipeline>,
) -> Result<(StatusCode, Tagged<Pipeline>)> {
    let found = pipelines.create_pipeline(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// A pipeline.
#[utoipa::path(get, path = "/organizations/{org}/pipelines/{pipeline}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("pipeline" = PipelineId, Path)),
    responses(
        (status = 200, body = Pipeline, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn pipeline(
    State(pipelines): State<Arc<dyn Pipelines>>,
    caller: Caller,
    Path((org, pipeline)): Path<(OrganizationId, PipelineId)>,
) -> Result<Tagged<Pipeline>> {
    let found = pipelines.pipeline(&caller, org, pipeline).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a pipeline.
#[utoipa::path(patch, path = "/organizations/{org}/pipelines/{pipeline}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("pipeline" = PipelineId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Pipeline, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_pipeline(
    State(pipelines): State<Arc<dyn Pipelines>>,
    caller: Caller,
    Path((org, pipeline)): Path<(OrganizationId, PipelineId)>,
    known: IfMatch,
    Json(body): Json<PipelinePatch>,
) -> Result<Tagged<Pipeline>> {
    let found = pipelines.change_pipeline(&caller, org, pipeline, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Remove a pipeline that no deal goes through.
#[utoipa::path(delete, path = "/organizations/{org}/pipelines/{pipeline}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("pipeline" = PipelineId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_pipeline(
    State(pipelines): State<Arc<dyn Pipelines>>,
    caller: Caller,
    Path((org, pipeline)): Path<(OrganizationId, PipelineId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    pipelines.delete_pipeline(&caller, org, pipeline, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add a stage at the end of a pipeline.
#[utoipa::path(post, path = "/organizations/{org}/pipelines/{pipeline}/stages/", tag = "crm",
    params(("org" = OrganizationId, Path), ("pipeline" = PipelineId, Path)),
    responses((status = 201, body = Stage), (status = "4XX", body = Problem)),
)]
async fn create_stage(
    State(pipelines): State<Arc<dyn Pipelines>>,
    caller: Caller,
    Path((org, pipeline)): Path<(OrganizationId, PipelineId)>,
    Json(body): Json<NewStage>,
) -> Result<(StatusCode, Tagged<Stage>)> {
    let found = pipelines.create_stage(&caller, org, pipeline, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Put the stages of a pipeline in another order.
#[utoipa::path(post, path = "/organizations/{org}/pipelines/{pipeline}/stages/reorder/", tag = "crm",
    params(("org" = OrganizationId, Path), ("pipeline" = PipelineId, Path)),
    responses(
        (status = 200, body = Pipeline, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn order_stages(
    State(pipelines): State<Arc<dyn Pipelines>>,
    caller: Caller,
    Path((org, pipeline)): Path<(OrganizationId, PipelineId)>,
    Json(body): Json<StageOrder>,
) -> Result<Tagged<Pipeline>> {
    let found = pipelines.order_stages(&caller, org, pipeline, body).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a stage.
#[utoipa::path(patch, path = "/organizations/{org}/pipelines/{pipeline}/stages/{stage}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("pipeline" = PipelineId, Path),
        ("stage" = StageId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Stage, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_stage(
    State(pipelines): State<Arc<dyn Pipelines>>,
    caller: Caller,
    Path((org, pipeline, stage)): Path<(OrganizationId, PipelineId, StageId)>,
    known: IfMatch,
    Json(body): Json<StagePatch>,
) -> Result<Tagged<Stage>> {
    let found = pipelines.change_stage(&caller, org, pipeline, stage, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Remove a stage; 409 `protected` where deals are in it and `move_to` does not say where they go.
#[utoipa::path(delete, path = "/organizations/{org}/pipelines/{pipeline}/stages/{stage}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("pipeline" = PipelineId, Path),
        ("stage" = StageId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
        StageRemoval,
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_stage(
    State(pipelines): State<Arc<dyn Pipelines>>,
    caller: Caller,
    Path((org, pipeline, stage)): Path<(OrganizationId, PipelineId, StageId)>,
    Query(how): Query<StageRemoval>,
    known: IfMatch,
) -> Result<StatusCode> {
    pipelines.delete_stage(&caller, org, pipeline, stage, how.move_to, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A pipeline with the first deals of each stage, how many there are and what they are worth in each currency. `?stage=…&after=…` reads on.
#[utoipa::path(get, path = "/organizations/{org}/pipelines/{pipeline}/board/", tag = "crm",
    params(("org" = OrganizationId, Path), ("pipeline" = PipelineId, Path), Lane),
    responses((status = 200, body = Board), (status = "4XX", body = Problem)),
)]
async fn board(
    State(pipelines): State<Arc<dyn Pipelines>>,
    caller: Caller,
    Path((org, pipeline)): Path<(OrganizationId, PipelineId)>,
    Query(lane): Query<Lane>,
) -> Result<Json<Board>> {
    Ok(Json(pipelines.board(&caller, org, pipeline, lane).await?))
}
