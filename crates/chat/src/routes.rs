//! The routes.

mod audit;
mod changes;
mod hosts;
mod messages;
mod participants;
mod pins;
mod reactions;
mod reading;
mod requests;
mod rooms;
mod search;

use axum::{extract::State, response::Response};
use guildhall_kernel::{Path, routes};
use guildhall_realtime::{Handshake, RealtimeState};
use serde_json::{Map, json};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{core::frames::stream, id::RoomId, state::ChatState};

/// The routes of this crate. Nest them under any path.
pub fn router(state: ChatState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The OpenAPI document of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

/// `/ws/chat/…`, beside the sockets of `guildhall_realtime`.
pub fn sockets(state: RealtimeState) -> OpenApiRouter {
    socket_routes().with_state(state)
}

/// The OpenAPI document of [`sockets`].
pub fn sockets_openapi() -> OpenApi {
    socket_routes().into_openapi()
}

fn routes() -> OpenApiRouter<ChatState> {
    OpenApiRouter::new()
        .merge(rooms::routes())
        .merge(participants::routes())
        .merge(hosts::routes())
        .merge(requests::routes())
        .merge(messages::routes())
        .merge(changes::routes())
        .merge(reactions::routes())
        .merge(pins::routes())
        .merge(reading::routes())
        .merge(search::routes())
        .merge(audit::routes())
}

fn socket_routes() -> OpenApiRouter<RealtimeState> {
    OpenApiRouter::new().routes(routes!(follow_room))
}

/// Open a WebSocket that follows a room.
///
/// Credentials are those of `/ws/`. The first frame is `hello`; then the events after `after` and those to come follow,
/// each with its number `seq`. A client sends `message` (or `{"message": "…"}`), `edit`, `delete`, `react`, `unreact`,
/// `read`, `typing` and `ping`. The connection is closed with 4403 for whoever does not take part or no longer, 4404 if
/// there is no such room, and 4410 if it is closed.
#[utoipa::path(get, path = "/ws/chat/{room_id}/", tag = "realtime", security(()),
    responses((status = 101, description = "The WebSocket is open.")),
)]
async fn follow_room(State(state): State<RealtimeState>, Path(room): Path<String>, handshake: Handshake) -> Response {
    // What is no number is the id of no room, and the close code reports it.
    let room = RoomId(room.parse().unwrap_or_default());
    let mut hello = Map::new();
    hello.insert("room_id".to_owned(), json!(room));
    handshake.follow(state, stream(room), hello)
}
