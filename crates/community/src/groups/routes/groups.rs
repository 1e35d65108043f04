//! Groups.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Query, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    groups::{CategoryCount, Deletion, Group, GroupFilter, GroupPatch, Groups, NewGroup},
    id::GroupId,
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(groups, create_group))
        .routes(routes!(categories))
        .routes(routes!(group, change_group, delete_group))
        .routes(routes!(preview_deletion))
}

/// List the groups visible to the caller.
///
/// Without a token, lists public groups if the settings allow anonymous reading. Sorts by `name`, `id`, `created_at`.
#[utoipa::path(get, path = "/groups/", tag = "community", responses((status = 200, body = Page<Group>)))]
async fn groups(
    State(groups): State<Arc<dyn Groups>>,
    caller: Option<Caller>,
    Query(filter): Query<GroupFilter>,
    page: PageQuery,
) -> Result<Json<Page<Group>>> {
    Ok(Json(groups.groups(caller, filter, page).await?))
}

/// Create a group. The caller becomes its owner.
#[utoipa::path(post, path = "/groups/", tag = "community", responses((status = 201, body = Group)))]
async fn create_group(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Json(new): Json<NewGroup>,
) -> Result<(StatusCode, Tagged<Group>)> {
    let group = groups.create_group(&caller, new).await?;
    Ok((StatusCode::CREATED, Tagged(group.updated_at.into(), group)))
}

/// List the categories of the groups visible to the caller, at most 100, largest first.
#[utoipa::path(get, path = "/groups/categories/", tag = "community",
    responses((status = 200, body = Vec<CategoryCount>)),
)]
async fn categories(State(groups): State<Arc<dyn Groups>>, caller: Option<Caller>) -> Result<Json<Vec<CategoryCount>>> {
    Ok(Json(groups.categories(caller).await?))
}

/// Get a group.
///
/// Without a token, public groups can be read if the settings allow anonymous reading.
#[utoipa::path(get, path = "/groups/{id}/", tag = "community", responses((status = 200, body = Group)))]
async fn group(
    State(groups): State<Arc<dyn Groups>>,
    caller: Option<Caller>,
    Path(id): Path<GroupId>,
) -> Result<Tagged<Group>> {
    let group = groups.group(caller, id).await?;
    Ok(Tagged(group.updated_at.into(), group))
}

/// Change a group. Only moderators may; some fields can only be changed by the owner.
#[utoipa::path(patch, path = "/groups/{id}/", tag = "community", responses((status = 200, body = Group)))]
async fn change_group(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    known: IfMatch,
    Json(patch): Json<GroupPatch>,
) -> Result<Tagged<Group>> {
    let group = groups.change_group(&caller, id, patch, known).await?;
    Ok(Tagged(group.updated_at.into(), group))
}

/// Delete a group and everything in it. Only the owner and staff may.
#[utoipa::path(delete, path = "/groups/{id}/", tag = "community", responses((status = 204)))]
async fn delete_group(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    known: IfMatch,
) -> Result<StatusCode> {
    groups.delete_group(&caller, id, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Count what deleting a group would delete. Only the owner and staff may.
#[utoipa::path(get, path = "/groups/{id}/deletion/", tag = "community", responses((status = 200, body = Deletion)))]
async fn preview_deletion(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
) -> Result<Json<Deletion>> {
    Ok(Json(groups.preview_deletion(&caller, id).await?))
}
