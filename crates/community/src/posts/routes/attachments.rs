//! Attachments of posts.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_files::Form;
use guildhall_kernel::{Caller, Json, Path, Result, routes};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::{AttachmentId, PostId},
    posts::{Attachment, Attachments},
    state::CommunityState,
};

/// A file to attach to a post.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form in OpenAPI")]
struct FileForm {
    /// The file.
    #[schema(format = Binary)]
    file: String,
}

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().routes(routes!(attach)).routes(routes!(detach))
}

/// Attach a file to a post, at most 10. Only its author may. Pictures are resized and stripped of metadata.
#[utoipa::path(post, path = "/posts/{id}/attachments/", tag = "community",
    request_body(content = FileForm, content_type = "multipart/form-data"),
    responses((status = 201, body = Attachment)),
)]
async fn attach(
    State(attachments): State<Arc<dyn Attachments>>,
    caller: Caller,
    Path(id): Path<PostId>,
    form: Form,
) -> Result<(StatusCode, Json<Attachment>)> {
    Ok((StatusCode::CREATED, Json(attachments.attach(&caller, id, form.file("file")?).await?)))
}

/// Remove an attachment from a post. Its author, moderators and staff may.
#[utoipa::path(delete, path = "/posts/{id}/attachments/{attachment_id}/", tag = "community",
    responses((status = 204)),
)]
async fn detach(
    State(attachments): State<Arc<dyn Attachments>>,
    caller: Caller,
    Path((id, attachment_id)): Path<(PostId, AttachmentId)>,
) -> Result<StatusCode> {
    attachments.detach(&caller, id, attachment_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
