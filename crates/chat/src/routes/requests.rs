//! Requests to join a room.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::RoomId,
    model::{JoinRequest, RequestRef},
    service::Requests,
    state::ChatState,
};

pub(super) fn routes() -> OpenApiRouter<ChatState> {
    OpenApiRouter::new()
        .routes(routes!(join_room, withdraw_room_request))
        .routes(routes!(room_requests))
        .routes(routes!(approve_room_request))
        .routes(routes!(deny_room_request))
}

/// Ask to join a room; at once if the room approves everybody.
#[utoipa::path(post, path = "/chat/{room_id}/join/", tag = "chat",
    responses(
        (status = 201, body = JoinRequest, description = "The request was made"),
        (status = 200, body = JoinRequest, description = "The request waits already, or was approved because the room approves everybody now"),
    ),
)]
async fn join_room(
    State(requests): State<Arc<dyn Requests>>,
    caller: Caller,
    Path(room): Path<RoomId>,
) -> Result<(StatusCode, Json<JoinRequest>)> {
    let joined = requests.join(&caller, room).await?;
    let status = if joined.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(joined.request)))
}

/// Withdraw the caller's request to join a room.
#[utoipa::path(delete, path = "/chat/{room_id}/join/", tag = "chat", responses((status = 204)))]
async fn withdraw_room_request(
    State(requests): State<Arc<dyn Requests>>,
    caller: Caller,
    Path(room): Path<RoomId>,
) -> Result<StatusCode> {
    requests.withdraw(&caller, room).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the requests that wait for a decision, oldest first. Only the host, co-hosts and staff may.
#[utoipa::path(get, path = "/chat/{room_id}/requests/", tag = "chat",
    responses((status = 200, body = Page<JoinRequest>)),
)]
async fn room_requests(
    State(requests): State<Arc<dyn Requests>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    page: PageQuery,
) -> Result<Json<Page<JoinRequest>>> {
    Ok(Json(requests.requests(&caller, room, page).await?))
}

/// Approve a request to join a room: the user takes part. Only the host, co-hosts and staff may.
#[utoipa::path(post, path = "/chat/{room_id}/approve/", tag = "chat", responses((status = 200, body = JoinRequest)))]
async fn approve_room_request(
    State(requests): State<Arc<dyn Requests>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    Json(body): Json<RequestRef>,
) -> Result<Json<JoinRequest>> {
    Ok(Json(requests.approve(&caller, room, body).await?))
}

/// Deny a request to join a room. Only the host, co-hosts and staff may.
#[utoipa::path(post, path = "/chat/{room_id}/deny/", tag = "chat", responses((status = 200, body = JoinRequest)))]
async fn deny_room_request(
    State(requests): State<Arc<dyn Requests>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    Json(body): Json<RequestRef>,
) -> Result<Json<JoinRequest>> {
    Ok(Json(requests.deny(&caller, room, body).await?))
}
