//! Reading, and the number of unread messages.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, Error, Json, Path, Result, UserId, routes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::Done;
use crate::{
    id::{ConversationId, MessageId},
    model::Target,
    service::Reading,
    state::MessagingState,
};

/// A conversation to mark as read.
#[derive(Deserialize, ToSchema)]
struct ReadConversation {
    /// The other person, or
    user_id: Option<UserId>,
    /// the conversation.
    conversation_id: Option<ConversationId>,
    /// The last message to mark; the whole conversation by default.
    up_to: Option<MessageId>,
}

/// The number of unread messages.
#[derive(Serialize, ToSchema)]
#[schema(as = UnreadCountAnswer)]
struct UnreadBody {
    /// `true`.
    success: bool,
    /// The number of messages that the caller has not read.
    unread_count: i64,
}

pub(super) fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new()
        .routes(routes!(mark_message_read))
        .routes(routes!(mark_conversation_read))
        .routes(routes!(unread_message_count))
}

/// Mark a message, and those before it in its conversation, as read. Only its receiver may.
#[utoipa::path(post, path = "/mark-read/{id}/", tag = "messaging", responses((status = 200, body = Done)))]
async fn mark_message_read(
    State(reading): State<Arc<dyn Reading>>,
    caller: Caller,
    Path(id): Path<MessageId>,
) -> Result<Json<Done>> {
    reading.mark_read(&caller, id).await?;
    Ok(Json(Done::new()))
}

/// Mark a conversation as read, up to a message or the whole.
#[utoipa::path(post, path = "/mark-read/", tag = "messaging", request_body = ReadConversation,
    responses((status = 200, body = Done)),
)]
async fn mark_conversation_read(
    State(reading): State<Arc<dyn Reading>>,
    caller: Caller,
    Json(body): Json<ReadConversation>,
) -> Result<Json<Done>> {
    let of = match (body.user_id, body.conversation_id) {
        (Some(user), None) => Target::User(user),
        (None, Some(id)) => Target::Conversation(id),
        (None, None) => return Err(Error::field("user_id", "This field is required.")),
        (Some(_), Some(_)) => return Err(Error::field("user_id", "Use either user_id or conversation_id, not both.")),
    };
    reading.mark_conversation_read(&caller, of, body.up_to).await?;
    Ok(Json(Done::new()))
}

/// Get the number of messages that the caller has not read.
#[utoipa::path(get, path = "/unread-count/", tag = "messaging", responses((status = 200, body = UnreadBody)))]
async fn unread_message_count(State(reading): State<Arc<dyn Reading>>, caller: Caller) -> Result<Json<UnreadBody>> {
    Ok(Json(UnreadBody { success: true, unread_count: reading.unread_count(&caller).await? }))
}
