//! Tasks.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Query, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{Filter, NewTask, OrganizationId, Task, TaskId, TaskPatch, Tasks, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(tasks, create_task))
        .routes(routes!(task, change_task, delete_task))
        .routes(routes!(complete_task))
}

/// List the tasks that the caller may see, by due time.
///
/// Sorts by `id`, `due_at`. Filters: `owner` (`me` or the user ID of the assignee), `done` (`false`, `true` or `all`),
/// `id`, `client_id`, `deal_id`, `due_at` and `done_at`, also with `__gte`, `__lte` and so on.
#[utoipa::path(get, path = "/organizations/{org}/tasks/", tag = "crm", responses((status = 200, body = Page<Task>)))]
async fn tasks(
    State(tasks): State<Arc<dyn Tasks>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Task>>> {
    Ok(Json(tasks.tasks(&caller, org, filter, page).await?))
}

/// Create a task.
#[utoipa::path(post, path = "/organizations/{org}/tasks/", tag = "crm", responses((status = 201, body = Task)))]
async fn create_task(
    State(tasks): State<Arc<dyn Tasks>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewTask>,
) -> Result<(StatusCode, Tagged<Task>)> {
    let found = tasks.create_task(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Get a task.
#[utoipa::path(get, path = "/organizations/{org}/tasks/{task}/", tag = "crm", responses((status = 200, body = Task)))]
async fn task(
    State(tasks): State<Arc<dyn Tasks>>,
    caller: Caller,
    Path((org, task)): Path<(OrganizationId, TaskId)>,
) -> Result<Tagged<Task>> {
    let found = tasks.task(&caller, org, task).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a task.
#[utoipa::path(patch, path = "/organizations/{org}/tasks/{task}/", tag = "crm",
    responses((status = 200, body = Task)),
)]
async fn change_task(
    State(tasks): State<Arc<dyn Tasks>>,
    caller: Caller,
    Path((org, task)): Path<(OrganizationId, TaskId)>,
    known: IfMatch,
    Json(body): Json<TaskPatch>,
) -> Result<Tagged<Task>> {
    let found = tasks.change_task(&caller, org, task, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Delete a task.
#[utoipa::path(delete, path = "/organizations/{org}/tasks/{task}/", tag = "crm", responses((status = 204)))]
async fn delete_task(
    State(tasks): State<Arc<dyn Tasks>>,
    caller: Caller,
    Path((org, task)): Path<(OrganizationId, TaskId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    tasks.delete_task(&caller, org, task, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Complete a task.
#[utoipa::path(post, path = "/organizations/{org}/tasks/{task}/complete/", tag = "crm",
    responses((status = 200, body = Task)),
)]
async fn complete_task(
    State(tasks): State<Arc<dyn Tasks>>,
    caller: Caller,
    Path((org, task)): Path<(OrganizationId, TaskId)>,
    known: IfMatch,
) -> Result<Tagged<Task>> {
    let found =
        tasks.change_task(&caller, org, task, TaskPatch { is_done: Some(true), ..TaskPatch::default() }, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}
