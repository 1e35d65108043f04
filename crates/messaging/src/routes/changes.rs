//! Editing and deleting messages.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Path, Query, Result, Tagged, routes};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::messages::{MessageBody, version};
use crate::{
    id::{ConversationId, MessageId},
    model::{DeleteFor, MessagePatch, Revision},
    service::Changes,
    state::MessagingState,
};

/// For whom a message is deleted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeleteOptions {
    /// `everyone` by default, or only `me`.
    #[serde(default, rename = "for")]
    #[param(inline)]
    whom: DeleteFor,
}

/// The earlier contents of a message.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageRevisionsAnswer)]
struct RevisionsBody {
    /// `true`.
    success: bool,
    /// Oldest first.
    revisions: Vec<Revision>,
}

pub(super) fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new().routes(routes!(edit_message, delete_message)).routes(routes!(message_revisions))
}

/// Change the content of a message. Only its sender may, for some time.
#[utoipa::path(patch, path = "/conversations/{id}/messages/{message_id}/", tag = "messaging",
    responses((status = 200, body = MessageBody)),
)]
async fn edit_message(
    State(changes): State<Arc<dyn Changes>>,
    caller: Caller,
    Path((id, message_id)): Path<(ConversationId, MessageId)>,
    known: IfMatch,
    Json(body): Json<MessagePatch>,
) -> Result<Tagged<MessageBody>> {
    let message = changes.edit(&caller, id, message_id, body, known).await?;
    Ok(Tagged(version(&message).into(), MessageBody { success: true, message, duplicate: false }))
}

/// Delete a message for everybody, or with `for=me` only for the caller.
#[utoipa::path(delete, path = "/conversations/{id}/messages/{message_id}/", tag = "messaging",
    responses((status = 204)),
)]
async fn delete_message(
    State(changes): State<Arc<dyn Changes>>,
    caller: Caller,
    Path((id, message_id)): Path<(ConversationId, MessageId)>,
    Query(options): Query<DeleteOptions>,
) -> Result<StatusCode> {
    changes.delete(&caller, id, message_id, options.whom).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List what a message contained before it was edited.
#[utoipa::path(get, path = "/conversations/{id}/messages/{message_id}/revisions/", tag = "messaging",
    responses((status = 200, body = RevisionsBody)),
)]
async fn message_revisions(
    State(changes): State<Arc<dyn Changes>>,
    caller: Caller,
    Path((id, message_id)): Path<(ConversationId, MessageId)>,
) -> Result<Json<RevisionsBody>> {
    Ok(Json(RevisionsBody { success: true, revisions: changes.revisions(&caller, id, message_id).await? }))
}
