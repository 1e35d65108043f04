//! The routes, as `/groups/…` and `/pictures/…`.

use std::sync::Arc;

use axum::{
    extract::{FromRef, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use guildhall_kernel::{
    Auth, Caller, Error, IfMatch, Json, Kind, Page, PageParams, PageQuery, Path, Problem, PublicUrl, Query, Result,
    Tagged,
};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Community, Group, GroupFilter, GroupId, NewGroup, picture};

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct CommunityState {
    /// The groups.
    pub community: Arc<dyn Community>,
    /// Who is asking.
    pub auth: Auth,
    /// What the absolute URLs of lists begin with.
    pub url: PublicUrl,
}

/// The routes of this crate, to be nested wherever the host likes.
pub fn router(state: CommunityState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The description of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(groups, create_group))
        .routes(routes!(group, delete_group))
        .routes(routes!(fallback_picture))
}

/// The groups that the caller may know of; public ones without signing in, if the settings say so. Sorts by `name`, `id`, `created_at`.
#[utoipa::path(get, path = "/groups/", tag = "community", params(GroupFilter, PageParams), responses(
    (status = 200, body = Page<Group>),
    (status = "4XX", body = Problem),
))]
async fn groups(
    State(community): State<Arc<dyn Community>>,
    caller: Option<Caller>,
    Query(filter): Query<GroupFilter>,
    page: PageQuery,
) -> Result<Json<Page<Group>>> {
    Ok(Json(community.groups(caller, filter, page).await?))
}

/// Make a group; the caller is owner, member and moderator of it.
#[utoipa::path(post, path = "/groups/", tag = "community", responses(
    (status = 201, body = Group),
    (status = "4XX", body = Problem),
))]
async fn create_group(
    State(community): State<Arc<dyn Community>>,
    caller: Caller,
    Json(new): Json<NewGroup>,
) -> Result<(StatusCode, Tagged<Group>)> {
    let group = community.create_group(&caller, new).await?;
    Ok((StatusCode::CREATED, Tagged(group.updated_at.into(), group)))
}

/// A group; a public one without signing in, if the settings say so.
#[utoipa::path(get, path = "/groups/{id}/", tag = "community", params(("id" = GroupId, Path)), responses(
    (status = 200, body = Group, headers(("ETag" = String, description = "The version"))),
    (status = "4XX", body = Problem),
))]
async fn group(
    State(community): State<Arc<dyn Community>>,
    caller: Option<Caller>,
    Path(id): Path<GroupId>,
) -> Result<Tagged<Group>> {
    let group = community.group(caller, id).await?;
    Ok(Tagged(group.updated_at.into(), group))
}

/// Remove a group and everything in it, for its owner and for staff.
#[utoipa::path(delete, path = "/groups/{id}/", tag = "community",
    params(
        ("id" = GroupId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_group(
    State(community): State<Arc<dyn Community>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    known: IfMatch,
) -> Result<StatusCode> {
    community.delete_group(&caller, id, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The picture that stands in where a group has none; its address is a group's `image_url`.
#[utoipa::path(get, path = "/pictures/{file}", tag = "community", security(()), params(("file" = String, Path)),
    responses(
        (status = 200, content_type = "image/svg+xml", body = String),
        (status = "4XX", body = Problem),
    ),
)]
async fn fallback_picture(Path(file): Path<String>) -> Result<Response> {
    let picture = picture::draw(&file);
    let picture = picture.ok_or_else(|| Error::new(Kind::NotFound, "not_found", "There is no such picture."))?;
    let headers =
        [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, picture).into_response())
}
