//! Pipelines.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{NewPipeline, OrganizationId, Pipeline, PipelineId, PipelinePatch, Pipelines, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new().routes(routes!(pipelines, create_pipeline)).routes(routes!(
        pipeline,
        change_pipeline,
        delete_pipeline
    ))
}

/// List the pipelines of an organization with their stages. Sorts by `id`, `position`.
#[utoipa::path(get, path = "/organizations/{org}/pipelines/", tag = "crm",
    responses((status = 200, body = Page<Pipeline>)),
)]
async fn pipelines(
    State(pipelines): State<Arc<dyn Pipelines>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Pipeline>>> {
    Ok(Json(pipelines.pipelines(&caller, org, page).await?))
}

/// Create a pipeline, with the default stages if none are given.
#[utoipa::path(post, path = "/organizations/{org}/pipelines/", tag = "crm",
    responses((status = 201, body = Pipeline)),
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

/// Get a pipeline.
#[utoipa::path(get, path = "/organizations/{org}/pipelines/{pipeline}/", tag = "crm",
    responses((status = 200, body = Pipeline)),
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
    responses((status = 200, body = Pipeline)),
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

/// Delete a pipeline that has no deals and is not the default.
#[utoipa::path(delete, path = "/organizations/{org}/pipelines/{pipeline}/", tag = "crm", responses((status = 204)))]
async fn delete_pipeline(
    State(pipelines): State<Arc<dyn Pipelines>>,
    caller: Caller,
    Path((org, pipeline)): Path<(OrganizationId, PipelineId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    pipelines.delete_pipeline(&caller, org, pipeline, known).await?;
    Ok(StatusCode::NO_CONTENT)
}
