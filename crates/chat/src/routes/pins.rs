//! Pinned messages.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Path, Result, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::{MessageId, RoomId},
    model::Pin,
    service::Pins,
    state::ChatState,
};

/// The pinned messages of a room.
#[derive(Serialize, ToSchema)]
#[schema(as = RoomPins)]
struct PinList {
    /// Newest first, at most 50.
    results: Vec<Pin>,
}

pub(super) fn routes() -> OpenApiRouter<ChatState> {
    OpenApiRouter::new().routes(routes!(room_pins)).routes(routes!(pin_message, unpin_message))
}

/// List the pinned messages of a room. Only participants may.
#[utoipa::path(get, path = "/chat/{room_id}/pins/", tag = "chat", responses((status = 200, body = PinList)))]
async fn room_pins(
    State(pins): State<Arc<dyn Pins>>,
    caller: Caller,
    Path(room): Path<RoomId>,
) -> Result<Json<PinList>> {
    Ok(Json(PinList { results: pins.pins(&caller, room).await? }))
}

/// Pin a message. Only the host and co-hosts may.
#[utoipa::path(put, path = "/chat/{room_id}/pins/{message_id}/", tag = "chat", responses((status = 204)))]
async fn pin_message(
    State(pins): State<Arc<dyn Pins>>,
    caller: Caller,
    Path((room, message)): Path<(RoomId, MessageId)>,
) -> Result<StatusCode> {
    pins.pin(&caller, room, message).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unpin a message. Only the host and co-hosts may.
#[utoipa::path(delete, path = "/chat/{room_id}/pins/{message_id}/", tag = "chat", responses((status = 204)))]
async fn unpin_message(
    State(pins): State<Arc<dyn Pins>>,
    caller: Caller,
    Path((room, message)): Path<(RoomId, MessageId)>,
) -> Result<StatusCode> {
    pins.unpin(&caller, room, message).await?;
    Ok(StatusCode::NO_CONTENT)
}
