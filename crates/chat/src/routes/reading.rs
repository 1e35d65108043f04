//! What the caller has read.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Path, Result, routes};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{id::RoomId, service::Reading, state::ChatState};

/// Up to where a room was read.
#[derive(Deserialize, ToSchema)]
#[schema(as = RoomRead)]
struct ReadUpTo {
    /// The number of an event; the whole room if it is absent.
    seq: Option<i64>,
}

pub(super) fn routes() -> OpenApiRouter<ChatState> {
    OpenApiRouter::new().routes(routes!(read_room))
}

/// Mark the messages of a room as read, up to an event. Only participants may.
#[utoipa::path(post, path = "/chat/{room_id}/read/", tag = "chat", responses((status = 204)))]
async fn read_room(
    State(reading): State<Arc<dyn Reading>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    Json(body): Json<ReadUpTo>,
) -> Result<StatusCode> {
    reading.mark_read(&caller, room, body.seq).await?;
    Ok(StatusCode::NO_CONTENT)
}
