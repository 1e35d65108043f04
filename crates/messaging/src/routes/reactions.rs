//! Reactions to messages.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::{ConversationId, MessageId},
    service::Reactions,
    state::MessagingState,
};

pub(super) fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new().routes(routes!(react_to_message, unreact_to_message))
}

/// React to a message with an emoji.
#[utoipa::path(put, path = "/conversations/{id}/messages/{message_id}/reactions/{emoji}/", tag = "messaging",
    responses((status = 204)),
)]
async fn react_to_message(
    State(reactions): State<Arc<dyn Reactions>>,
    caller: Caller,
    Path((id, message_id, emoji)): Path<(ConversationId, MessageId, String)>,
) -> Result<StatusCode> {
    reactions.react(&caller, id, message_id, emoji).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a reaction of the caller.
#[utoipa::path(delete, path = "/conversations/{id}/messages/{message_id}/reactions/{emoji}/", tag = "messaging",
    responses((status = 204)),
)]
async fn unreact_to_message(
    State(reactions): State<Arc<dyn Reactions>>,
    caller: Caller,
    Path((id, message_id, emoji)): Path<(ConversationId, MessageId, String)>,
) -> Result<StatusCode> {
    reactions.unreact(&caller, id, message_id, emoji).await?;
    Ok(StatusCode::NO_CONTENT)
}
