//! The people in a room.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::RoomId,
    model::{Leave, Mute, Participant, UserRef},
    service::Participants,
    state::ChatState,
};

pub(super) fn routes() -> OpenApiRouter<ChatState> {
    OpenApiRouter::new()
        .routes(routes!(participants))
        .routes(routes!(invite_to_room))
        .routes(routes!(remove_from_room))
        .routes(routes!(mute_in_room))
        .routes(routes!(leave_room))
}

/// List the people who take part in a room, in the order in which they joined. Only they and staff may.
#[utoipa::path(get, path = "/chat/{room_id}/participants/", tag = "chat",
    responses((status = 200, body = Page<Participant>)),
)]
async fn participants(
    State(participants): State<Arc<dyn Participants>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    page: PageQuery,
) -> Result<Json<Page<Participant>>> {
    Ok(Json(participants.participants(&caller, room, page).await?))
}

/// Invite a user to a room: they take part at once, also if they were removed before. Only the host, co-hosts and staff
/// may.
#[utoipa::path(post, path = "/chat/{room_id}/invite/", tag = "chat", responses((status = 200, body = Participant)))]
async fn invite_to_room(
    State(participants): State<Arc<dyn Participants>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    Json(body): Json<UserRef>,
) -> Result<Json<Participant>> {
    Ok(Json(participants.invite(&caller, room, body.user_id).await?))
}

/// Remove a participant from a room. Only the host, co-hosts and staff may.
///
/// Nothing that happens afterwards reaches them: their sockets are closed with 4403.
#[utoipa::path(post, path = "/chat/{room_id}/remove/", tag = "chat", responses((status = 200, body = Participant)))]
async fn remove_from_room(
    State(participants): State<Arc<dyn Participants>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    Json(body): Json<UserRef>,
) -> Result<Json<Participant>> {
    Ok(Json(participants.remove(&caller, room, body.user_id).await?))
}

/// Mute a participant until some time, or let them send messages again. Only the host, co-hosts and staff may.
#[utoipa::path(post, path = "/chat/{room_id}/mute/", tag = "chat", responses((status = 200, body = Participant)))]
async fn mute_in_room(
    State(participants): State<Arc<dyn Participants>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    Json(body): Json<Mute>,
) -> Result<Json<Participant>> {
    Ok(Json(participants.mute(&caller, room, body).await?))
}

/// Leave a room, or withdraw the request to join it.
///
/// When its host leaves, the room closes, unless `new_host_id` names a participant to whom they hand it over.
#[utoipa::path(post, path = "/chat/{room_id}/leave/", tag = "chat", request_body(content = Option<Leave>),
    responses((status = 204)),
)]
async fn leave_room(
    State(participants): State<Arc<dyn Participants>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    body: Option<Json<Leave>>,
) -> Result<StatusCode> {
    let how = body.map(|Json(how)| how).unwrap_or_default();
    participants.leave(&caller, room, how).await?;
    Ok(StatusCode::NO_CONTENT)
}
