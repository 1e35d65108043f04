use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use guildhall_kernel::{
    Caller, Error, IfMatch, Json, Kind, Page, PageParams, PageQuery, Path, Problem, Query, Result, Tagged, file::Form,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::CommunityState;
use crate::{CategoryCount, Deletion, Group, GroupFilter, GroupId, GroupPatch, Groups, NewGroup, PictureKind, picture};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(groups, create_group))
        .routes(routes!(categories))
        .routes(routes!(group, change_group, delete_group))
        .routes(routes!(preview_deletion))
        .routes(routes!(set_image, remove_image))
        .routes(routes!(set_banner, remove_banner))
        .routes(routes!(fallback_picture))
}

/// The groups that the caller may know of; public ones without signing in, if the settings say so. Sorts by `name`, `id`, `created_at`.
#[utoipa::path(get, path = "/groups/", tag = "community", params(GroupFilter, PageParams), responses(
    (status = 200, body = Page<Group>),
    (status = "4XX", body = Problem),
))]
async fn groups(
    State(groups): State<Arc<dyn Groups>>,
    caller: Option<Caller>,
    Query(filter): Query<GroupFilter>,
    page: PageQuery,
) -> Result<Json<Page<Group>>> {
    Ok(Json(groups.groups(caller, filter, page).await?))
}

/// Make a group; the caller is owner, member and moderator of it.
#[utoipa::path(post, path = "/groups/", tag = "community", responses(
    (status = 201, body = Group),
    (status = "4XX", body = Problem),
))]
async fn create_group(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Json(new): Json<NewGroup>,
) -> Result<(StatusCode, Tagged<Group>)> {
    let group = groups.create_group(&caller, new).await?;
    Ok((StatusCode::CREATED, Tagged(group.updated_at.into(), group)))
}

/// The categories of the groups that the caller may know of, at most 100, those with most groups first.
#[utoipa::path(get, path = "/groups/categories/", tag = "community", responses(
    (status = 200, body = Vec<CategoryCount>),
    (status = "4XX", body = Problem),
))]
async fn categories(State(groups): State<Arc<dyn Groups>>, caller: Option<Caller>) -> Result<Json<Vec<CategoryCount>>> {
    Ok(Json(groups.categories(caller).await?))
}

/// A group; a public one without signing in, if the settings say so.
#[utoipa::path(get, path = "/groups/{id}/", tag = "community", params(("id" = GroupId, Path)), responses(
    (status = 200, body = Group, headers(("ETag" = String, description = "The version"))),
    (status = "4XX", body = Problem),
))]
async fn group(
    State(groups): State<Arc<dyn Groups>>,
    caller: Option<Caller>,
    Path(id): Path<GroupId>,
) -> Result<Tagged<Group>> {
    let group = groups.group(caller, id).await?;
    Ok(Tagged(group.updated_at.into(), group))
}

/// Change a group, for its moderators; who sees it is its owner's to change.
#[utoipa::path(patch, path = "/groups/{id}/", tag = "community",
    params(
        ("id" = GroupId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 200, body = Group), (status = "4XX", body = Problem)),
)]
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

/// Remove a group and everything in it, for its owner and for staff.
#[utoipa::path(delete, path = "/groups/{id}/", tag = "community",
    params(
        ("id" = GroupId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_group(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    known: IfMatch,
) -> Result<StatusCode> {
    groups.delete_group(&caller, id, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What would go with a group, for its owner and for staff.
#[utoipa::path(get, path = "/groups/{id}/deletion/", tag = "community", params(("id" = GroupId, Path)), responses(
    (status = 200, body = Deletion),
    (status = "4XX", body = Problem),
))]
async fn preview_deletion(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
) -> Result<Json<Deletion>> {
    Ok(Json(groups.preview_deletion(&caller, id).await?))
}

/// A picture to be put up: PNG, JPEG, WebP or GIF.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes")]
pub(super) struct PictureForm {
    /// The picture.
    #[schema(format = Binary)]
    image: String,
}

/// Put up a group's picture, for its moderators. It is cut square, made smaller and freed of what it tells beside the picture.
#[utoipa::path(put, path = "/groups/{id}/image/", tag = "community", params(("id" = GroupId, Path)),
    request_body(content = PictureForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Group), (status = "4XX", body = Problem)),
)]
async fn set_image(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    form: Form,
) -> Result<Json<Group>> {
    Ok(Json(groups.set_picture(&caller, id, PictureKind::Image, form.file("image")?.bytes).await?))
}

/// Take a group's picture down, for its moderators.
#[utoipa::path(delete, path = "/groups/{id}/image/", tag = "community", params(("id" = GroupId, Path)), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn remove_image(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
) -> Result<StatusCode> {
    groups.remove_picture(&caller, id, PictureKind::Image).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put up a group's banner, for its moderators.
#[utoipa::path(put, path = "/groups/{id}/banner/", tag = "community", params(("id" = GroupId, Path)),
    request_body(content = PictureForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Group), (status = "4XX", body = Problem)),
)]
async fn set_banner(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    form: Form,
) -> Result<Json<Group>> {
    Ok(Json(groups.set_picture(&caller, id, PictureKind::Banner, form.file("image")?.bytes).await?))
}

/// Take a group's banner down, for its moderators.
#[utoipa::path(delete, path = "/groups/{id}/banner/", tag = "community", params(("id" = GroupId, Path)), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn remove_banner(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
) -> Result<StatusCode> {
    groups.remove_picture(&caller, id, PictureKind::Banner).await?;
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
