use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use guildhall_files::Form;
use guildhall_kernel::{Caller, Error, IfMatch, Json, Kind, Page, PageQuery, Path, Query, Result, Tagged, routes};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::CommunityState;
use crate::{
    CategoryCount, Deletion, Group, GroupFilter, GroupId, GroupPatch, Groups, NewGroup, PictureKind, Pictures, picture,
};

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

/// A picture to upload: PNG, JPEG, WebP or GIF.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form in OpenAPI")]
pub(super) struct PictureForm {
    /// The picture file.
    #[schema(format = Binary)]
    image: String,
}

/// Set a group's picture. Only moderators may. The image is cropped to a square, resized and stripped of metadata.
#[utoipa::path(put, path = "/groups/{id}/image/", tag = "community",
    request_body(content = PictureForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Group)),
)]
async fn set_image(
    State(pictures): State<Arc<dyn Pictures>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    form: Form,
) -> Result<Json<Group>> {
    Ok(Json(pictures.set_picture(&caller, id, PictureKind::Image, form.file("image")?.bytes).await?))
}

/// Remove a group's picture. Only moderators may.
#[utoipa::path(delete, path = "/groups/{id}/image/", tag = "community", responses((status = 204)))]
async fn remove_image(
    State(pictures): State<Arc<dyn Pictures>>,
    caller: Caller,
    Path(id): Path<GroupId>,
) -> Result<StatusCode> {
    pictures.remove_picture(&caller, id, PictureKind::Image).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set a group's banner. Only moderators may. The image is resized and stripped of metadata.
#[utoipa::path(put, path = "/groups/{id}/banner/", tag = "community",
    request_body(content = PictureForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Group)),
)]
async fn set_banner(
    State(pictures): State<Arc<dyn Pictures>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    form: Form,
) -> Result<Json<Group>> {
    Ok(Json(pictures.set_picture(&caller, id, PictureKind::Banner, form.file("image")?.bytes).await?))
}

/// Remove a group's banner. Only moderators may.
#[utoipa::path(delete, path = "/groups/{id}/banner/", tag = "community", responses((status = 204)))]
async fn remove_banner(
    State(pictures): State<Arc<dyn Pictures>>,
    caller: Caller,
    Path(id): Path<GroupId>,
) -> Result<StatusCode> {
    pictures.remove_picture(&caller, id, PictureKind::Banner).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get the generated picture of a group that has no picture of its own. Its URL is the `image_url` of the group.
#[utoipa::path(get, path = "/pictures/{file}", tag = "community", security(()),
    responses((status = 200, content_type = "image/svg+xml", body = String)),
)]
async fn fallback_picture(Path(file): Path<String>) -> Result<Response> {
    let picture = picture::draw(&file);
    let picture = picture.ok_or_else(|| Error::new(Kind::NotFound, "not_found", "Picture not found."))?;
    let headers =
        [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, picture).into_response())
}
