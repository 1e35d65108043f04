//! Hosts and co-hosts.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Path, Result, Tagged, UserId, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::RoomId,
    model::{Room, UserRef},
    service::Hosts,
    state::ChatState,
};

pub(super) fn routes() -> OpenApiRouter<ChatState> {
    OpenApiRouter::new().routes(routes!(add_cohost, remove_cohost)).routes(routes!(hand_over_room))
}

/// Make a participant a co-host, who moderates the room beside the host. Only the host and staff may.
///
/// A room has at most 20 co-hosts.
#[utoipa::path(put, path = "/chat/{room_id}/cohosts/{user_id}/", tag = "chat", responses((status = 204)))]
async fn add_cohost(
    State(hosts): State<Arc<dyn Hosts>>,
    caller: Caller,
    Path((room, user)): Path<(RoomId, UserId)>,
) -> Result<StatusCode> {
    hosts.add_cohost(&caller, room, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a co-host a participant like others. Only the host and staff may.
#[utoipa::path(delete, path = "/chat/{room_id}/cohosts/{user_id}/", tag = "chat", responses((status = 204)))]
async fn remove_cohost(
    State(hosts): State<Arc<dyn Hosts>>,
    caller: Caller,
    Path((room, user)): Path<(RoomId, UserId)>,
) -> Result<StatusCode> {
    hosts.remove_cohost(&caller, room, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hand a room over to a participant. Its host becomes a co-host. Only the host and staff may.
///
/// If there are 20 co-hosts, the host becomes a participant like others.
#[utoipa::path(post, path = "/chat/{room_id}/hand-over/", tag = "chat", responses((status = 200, body = Room)))]
async fn hand_over_room(
    State(hosts): State<Arc<dyn Hosts>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    Json(body): Json<UserRef>,
) -> Result<Tagged<Room>> {
    let room = hosts.hand_over(&caller, room, body.user_id).await?;
    Ok(Tagged(room.updated_at.into(), room))
}
