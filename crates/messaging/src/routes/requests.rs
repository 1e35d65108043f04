//! Conversations that the caller has to accept.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, CursorQuery, Json, Path, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use super::conversations::{ConversationBody, ConversationsBody};
use crate::{id::ConversationId, service::Requests, state::MessagingState};

pub(super) fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new()
        .routes(routes!(message_requests))
        .routes(routes!(accept_message_request))
        .routes(routes!(decline_message_request))
}

/// List the conversations that wait for the caller to accept them.
#[utoipa::path(get, path = "/requests/", tag = "messaging", responses((status = 200, body = ConversationsBody)))]
async fn message_requests(
    State(requests): State<Arc<dyn Requests>>,
    caller: Caller,
    cursor: CursorQuery,
) -> Result<Json<ConversationsBody>> {
    Ok(Json(requests.requests(&caller, cursor).await?.into()))
}

/// Accept a conversation.
#[utoipa::path(post, path = "/requests/{id}/accept/", tag = "messaging",
    responses((status = 200, body = ConversationBody)),
)]
async fn accept_message_request(
    State(requests): State<Arc<dyn Requests>>,
    caller: Caller,
    Path(id): Path<ConversationId>,
) -> Result<Tagged<ConversationBody>> {
    Ok(ConversationBody::tagged(requests.accept(&caller, id).await?))
}

/// Decline a conversation. The other person is not informed, and their later messages do not reach the caller.
#[utoipa::path(post, path = "/requests/{id}/decline/", tag = "messaging", responses((status = 204)))]
async fn decline_message_request(
    State(requests): State<Arc<dyn Requests>>,
    caller: Caller,
    Path(id): Path<ConversationId>,
) -> Result<StatusCode> {
    requests.decline(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
