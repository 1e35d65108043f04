//! Pictures of groups.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use guildhall_files::Form;
use guildhall_kernel::{Caller, Error, Json, Kind, Path, Result, routes};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    groups::{Group, PictureKind, Pictures, fallback_picture},
    id::GroupId,
    state::CommunityState,
};

/// A picture to upload: PNG, JPEG, WebP or GIF.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form in OpenAPI")]
pub(super) struct PictureForm {
    /// The picture file.
    #[schema(format = Binary)]
    image: String,
}

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(set_image, remove_image))
        .routes(routes!(set_banner, remove_banner))
        .routes(routes!(fallback_picture))
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
    let picture = fallback_picture::draw(&file);
    let picture = picture.ok_or_else(|| Error::new(Kind::NotFound, "not_found", "Picture not found."))?;
    let headers =
        [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, picture).into_response())
}
