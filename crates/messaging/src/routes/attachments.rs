//! Attachments of messages.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_files::{Form, Signature};
use guildhall_kernel::{Caller, Json, Path, Query, Result, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{id::AttachmentId, model::Attachment, service::Attachments, state::MessagingState};

/// A file to attach to a message.
#[derive(ToSchema)]
#[schema(as = MessageAttachmentForm)]
#[expect(dead_code, reason = "describes the form in OpenAPI")]
struct AttachmentForm {
    /// The file.
    #[schema(format = Binary)]
    file: String,
}

/// A file that was uploaded.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageAttachmentAnswer)]
struct AttachmentBody {
    /// `true`.
    success: bool,
    /// The file.
    #[serde(flatten)]
    attachment: Attachment,
}

pub(super) fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new().routes(routes!(upload_attachment)).routes(routes!(download_attachment))
}

/// Upload a file to attach to a message, within a day. Pictures are resized and stripped of metadata.
#[utoipa::path(post, path = "/attachments/", tag = "messaging",
    request_body(content = AttachmentForm, content_type = "multipart/form-data"),
    responses((status = 201, body = AttachmentBody)),
)]
async fn upload_attachment(
    State(attachments): State<Arc<dyn Attachments>>,
    caller: Caller,
    form: Form,
) -> Result<(StatusCode, Json<AttachmentBody>)> {
    let attachment = attachments.upload(&caller, form.file("file")?).await?;
    Ok((StatusCode::CREATED, Json(AttachmentBody { success: true, attachment })))
}

/// Download an attachment of a message.
///
/// The caller, or the user for whom the URL was signed, has to be able to read the message at the time of the request.
#[utoipa::path(get, path = "/attachments/{id}/{name}", tag = "messaging", security(()),
    responses((status = 200, content_type = "*/*", body = String)),
)]
async fn download_attachment(
    State(attachments): State<Arc<dyn Attachments>>,
    caller: Option<Caller>,
    Path((id, name)): Path<(AttachmentId, String)>,
    Query(signature): Query<Signature>,
) -> Result<Response> {
    Ok(attachments.download(caller, id, name, signature).await?)
}
