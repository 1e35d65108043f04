//! Rooms.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Query, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::RoomId,
    model::{NewRoom, Room, RoomFilter, RoomPatch},
    service::Rooms,
    state::ChatState,
};

pub(super) fn routes() -> OpenApiRouter<ChatState> {
    OpenApiRouter::new().routes(routes!(rooms)).routes(routes!(open_room)).routes(routes!(
        room,
        change_room,
        close_room
    ))
}

fn tagged(room: Room) -> Tagged<Room> {
    Tagged(room.updated_at.into(), room)
}

/// List active rooms, newest first.
#[utoipa::path(get, path = "/chat/", tag = "chat", responses((status = 200, body = Page<Room>)))]
async fn rooms(
    State(rooms): State<Arc<dyn Rooms>>,
    caller: Caller,
    Query(filter): Query<RoomFilter>,
    page: PageQuery,
) -> Result<Json<Page<Room>>> {
    Ok(Json(rooms.rooms(&caller, filter, page).await?))
}

/// Open a room. Only teachers and superusers may; the caller is its host and first participant.
#[utoipa::path(post, path = "/chat/create/", tag = "chat", responses((status = 201, body = Room)))]
async fn open_room(
    State(rooms): State<Arc<dyn Rooms>>,
    caller: Caller,
    Json(new): Json<NewRoom>,
) -> Result<(StatusCode, Tagged<Room>)> {
    Ok((StatusCode::CREATED, tagged(rooms.open_room(&caller, new).await?)))
}

/// Get a room: an active one, or a closed one in which the caller took part.
#[utoipa::path(get, path = "/chat/{room_id}/", tag = "chat", responses((status = 200, body = Room)))]
async fn room(State(rooms): State<Arc<dyn Rooms>>, caller: Caller, Path(room): Path<RoomId>) -> Result<Tagged<Room>> {
    Ok(tagged(rooms.room(&caller, room).await?))
}

/// Change a room. Only its host and staff may.
#[utoipa::path(patch, path = "/chat/{room_id}/", tag = "chat", responses((status = 200, body = Room)))]
async fn change_room(
    State(rooms): State<Arc<dyn Rooms>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    known: IfMatch,
    Json(patch): Json<RoomPatch>,
) -> Result<Tagged<Room>> {
    Ok(tagged(rooms.change_room(&caller, room, patch, known).await?))
}

/// Close a room. Its participants can still read it. Only its host and staff may.
#[utoipa::path(delete, path = "/chat/{room_id}/", tag = "chat", responses((status = 204)))]
async fn close_room(
    State(rooms): State<Arc<dyn Rooms>>,
    caller: Caller,
    Path(room): Path<RoomId>,
) -> Result<StatusCode> {
    rooms.close_room(&caller, room).await?;
    Ok(StatusCode::NO_CONTENT)
}
