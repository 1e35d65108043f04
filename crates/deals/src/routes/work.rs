//! What was done with clients, and what is to be done.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{
    Caller, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Slice, SliceParams, SliceQuery,
    Tagged,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::DealsState;
use crate::{
    Activity, ClientId, DealId, Filter, NewActivity, NewTask, OrganizationId, Place, Task, TaskId, TaskPatch, Work,
};

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(timeline))
        .routes(routes!(log_with_client))
        .routes(routes!(activities, log_activity))
        .routes(routes!(activities_of_client, log_activity_of_client))
        .routes(routes!(tasks, create_task))
        .routes(routes!(task, change_task, delete_task))
        .routes(routes!(complete_task))
}

/// What happened with a client and about its deals, newest first.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/timeline/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path), SliceParams),
    responses((status = 200, body = Slice<Activity>), (status = "4XX", body = Problem)),
)]
async fn timeline(
    State(work): State<Arc<dyn Work>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    slice: SliceQuery,
) -> Result<Json<Slice<Activity>>> {
    Ok(Json(work.timeline(&caller, org, client, slice).await?))
}

/// Write down what happened with a client.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/activity/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path)),
    responses((status = 201, body = Activity), (status = "4XX", body = Problem)),
)]
async fn log_with_client(
    State(work): State<Arc<dyn Work>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    Json(body): Json<NewActivity>,
) -> Result<(StatusCode, Json<Activity>)> {
    Ok((StatusCode::CREATED, Json(work.log_with_client(&caller, org, client, body).await?)))
}

/// What happened about a deal, newest first.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/activity/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path), SliceParams),
    responses((status = 200, body = Slice<Activity>), (status = "4XX", body = Problem)),
)]
async fn activities(
    State(work): State<Arc<dyn Work>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    slice: SliceQuery,
) -> Result<Json<Slice<Activity>>> {
    Ok(Json(work.activities(&caller, org, deal.into(), slice).await?))
}

/// Write down what happened about a deal.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/activity/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path)),
    responses((status = 201, body = Activity), (status = "4XX", body = Problem)),
)]
async fn log_activity(
    State(work): State<Arc<dyn Work>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    Json(body): Json<NewActivity>,
) -> Result<(StatusCode, Json<Activity>)> {
    Ok((StatusCode::CREATED, Json(work.log_activity(&caller, org, deal.into(), body).await?)))
}

/// What happened about a deal of a client, newest first.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/deals/{deal}/activity/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path), ("deal" = DealId, Path), SliceParams),
    responses((status = 200, body = Slice<Activity>), (status = "4XX", body = Problem)),
)]
async fn activities_of_client(
    State(work): State<Arc<dyn Work>>,
    caller: Caller,
    Path((org, client, deal)): Path<(OrganizationId, ClientId, DealId)>,
    slice: SliceQuery,
) -> Result<Json<Slice<Activity>>> {
    Ok(Json(work.activities(&caller, org, Place { client: Some(client), deal }, slice).await?))
}

/// Write down what happened about a deal of a client.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/deals/{deal}/activity/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path), ("deal" = DealId, Path)),
    responses((status = 201, body = Activity), (status = "4XX", body = Problem)),
)]
async fn log_activity_of_client(
    State(work): State<Arc<dyn Work>>,
    caller: Caller,
    Path((org, client, deal)): Path<(OrganizationId, ClientId, DealId)>,
    Json(body): Json<NewActivity>,
) -> Result<(StatusCode, Json<Activity>)> {
    let at = Place { client: Some(client), deal };
    Ok((StatusCode::CREATED, Json(work.log_activity(&caller, org, at, body).await?)))
}

/// The tasks that the caller may see, those due first in front. Sorts by `id`, `due_at`; narrowed by `owner` (`me`, or an account), `done` (`false`, `true`, `all`), `client_id`, `deal_id`, `due_at` with `__gte`, `__lte` and so on.
#[utoipa::path(get, path = "/organizations/{org}/tasks/", tag = "crm",
    params(("org" = OrganizationId, Path), PageParams, Filter),
    responses((status = 200, body = Page<Task>), (status = "4XX", body = Problem)),
)]
async fn tasks(
    State(work): State<Arc<dyn Work>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Task>>> {
    Ok(Json(work.tasks(&caller, org, filter, page).await?))
}

/// Add a task.
#[utoipa::path(post, path = "/organizations/{org}/tasks/", tag = "crm",
    params(("org" = OrganizationId, Path)),
    responses((status = 201, body = Task), (status = "4XX", body = Problem)),
)]
async fn create_task(
    State(work): State<Arc<dyn Work>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewTask>,
) -> Result<(StatusCode, Tagged<Task>)> {
    let found = work.create_task(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// A task.
#[utoipa::path(get, path = "/organizations/{org}/tasks/{task}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("task" = TaskId, Path)),
    responses(
        (status = 200, body = Task, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn task(
    State(work): State<Arc<dyn Work>>,
    caller: Caller,
    Path((org, task)): Path<(OrganizationId, TaskId)>,
) -> Result<Tagged<Task>> {
    let found = work.task(&caller, org, task).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a task.
#[utoipa::path(patch, path = "/organizations/{org}/tasks/{task}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("task" = TaskId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Task, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_task(
    State(work): State<Arc<dyn Work>>,
    caller: Caller,
    Path((org, task)): Path<(OrganizationId, TaskId)>,
    known: IfMatch,
    Json(body): Json<TaskPatch>,
) -> Result<Tagged<Task>> {
    let found = work.change_task(&caller, org, task, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Remove a task.
#[utoipa::path(delete, path = "/organizations/{org}/tasks/{task}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("task" = TaskId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_task(
    State(work): State<Arc<dyn Work>>,
    caller: Caller,
    Path((org, task)): Path<(OrganizationId, TaskId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    work.delete_task(&caller, org, task, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Finish a task.
#[utoipa::path(post, path = "/organizations/{org}/tasks/{task}/complete/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("task" = TaskId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Task, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn complete_task(
    State(work): State<Arc<dyn Work>>,
    caller: Caller,
    Path((org, task)): Path<(OrganizationId, TaskId)>,
    known: IfMatch,
) -> Result<Tagged<Task>> {
    let found =
        work.change_task(&caller, org, task, TaskPatch { is_done: Some(true), ..TaskPatch::default() }, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}
