//! Reactions to messages.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::{MessageId, RoomId},
    service::Reactions,
    state::ChatState,
};

pub(super) fn routes() -> OpenApiRouter<ChatState> {
    OpenApiRouter::new().routes(routes!(react_in_room, unreact_in_room))
}

/// React to a message in a room with an emoji.
#[utoipa::path(put, path = "/chat/{room_id}/messages/{message_id}/reactions/{emoji}/", tag = "chat",
    responses((status = 204)),
)]
async fn react_in_room(
    State(reactions): State<Arc<dyn Reactions>>,
    caller: Caller,
    Path((room, message, emoji)): Path<(RoomId, MessageId, String)>,
) -> Result<StatusCode> {
    reactions.react(&caller, room, message, emoji).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a reaction of the caller in a room.
#[utoipa::path(delete, path = "/chat/{room_id}/messages/{message_id}/reactions/{emoji}/", tag = "chat",
    responses((status = 204)),
)]
async fn unreact_in_room(
    State(reactions): State<Arc<dyn Reactions>>,
    caller: Caller,
    Path((room, message, emoji)): Path<(RoomId, MessageId, String)>,
) -> Result<StatusCode> {
    reactions.unreact(&caller, room, message, emoji).await?;
    Ok(StatusCode::NO_CONTENT)
}
