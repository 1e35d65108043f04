//! Editing and deleting messages.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Path, Result, Tagged, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::messages::version;
use crate::{
    id::{MessageId, RoomId},
    model::{Message, MessagePatch, Revision},
    service::Changes,
    state::ChatState,
};

/// The contents of a message before it was edited.
#[derive(Serialize, ToSchema)]
#[schema(as = RoomMessageRevisions)]
struct Revisions {
    /// Oldest first.
    results: Vec<Revision>,
}

pub(super) fn routes() -> OpenApiRouter<ChatState> {
    OpenApiRouter::new().routes(routes!(edit_room_message, delete_room_message)).routes(routes!(room_message_revisions))
}

/// Edit a message in a room. Only its sender may, for some time.
#[utoipa::path(patch, path = "/chat/{room_id}/messages/{message_id}/", tag = "chat",
    responses((status = 200, body = Message)),
)]
async fn edit_room_message(
    State(changes): State<Arc<dyn Changes>>,
    caller: Caller,
    Path((room, message)): Path<(RoomId, MessageId)>,
    known: IfMatch,
    Json(patch): Json<MessagePatch>,
) -> Result<Tagged<Message>> {
    let message = changes.edit(&caller, room, message, patch, known).await?;
    Ok(Tagged(version(&message).into(), message))
}

/// Delete the content of a message in a room. Its sender may for some time, the host and co-hosts always.
#[utoipa::path(delete, path = "/chat/{room_id}/messages/{message_id}/", tag = "chat", responses((status = 204)))]
async fn delete_room_message(
    State(changes): State<Arc<dyn Changes>>,
    caller: Caller,
    Path((room, message)): Path<(RoomId, MessageId)>,
) -> Result<StatusCode> {
    changes.delete(&caller, room, message).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the contents of a message before it was edited.
#[utoipa::path(get, path = "/chat/{room_id}/messages/{message_id}/revisions/", tag = "chat",
    responses((status = 200, body = Revisions)),
)]
async fn room_message_revisions(
    State(changes): State<Arc<dyn Changes>>,
    caller: Caller,
    Path((room, message)): Path<(RoomId, MessageId)>,
) -> Result<Json<Revisions>> {
    Ok(Json(Revisions { results: changes.revisions(&caller, room, message).await? }))
}
