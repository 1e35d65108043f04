//! The inbox, and what only the caller sees of a conversation.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Json, Path, Query, Result, Tagged, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::ConversationId,
    model::{Conversation, ConversationState, InboxFilter},
    service::Conversations,
    state::MessagingState,
};

/// A conversation.
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationAnswer)]
pub(super) struct ConversationBody {
    /// `true`.
    success: bool,
    /// The conversation.
    conversation: Conversation,
}

/// A page of conversations.
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationsAnswer)]
pub(super) struct ConversationsBody {
    /// `true`.
    success: bool,
    /// By their newest message.
    conversations: Vec<Conversation>,
    /// Absolute URL of the next page.
    next: Option<String>,
}

impl ConversationBody {
    /// The conversation with its version, which changes with its name, owner and members.
    pub(super) fn tagged(conversation: Conversation) -> Tagged<Self> {
        Tagged(conversation.updated_at.into(), Self { success: true, conversation })
    }
}

impl From<CursorPage<Conversation>> for ConversationsBody {
    fn from(page: CursorPage<Conversation>) -> Self {
        Self { success: true, conversations: page.results, next: page.next }
    }
}

pub(super) fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new()
        .routes(routes!(conversations))
        .routes(routes!(conversation, clear_conversation))
        .routes(routes!(change_conversation_state))
}

/// List the caller's conversations, by their newest message. The first page begins with the pinned ones.
#[utoipa::path(get, path = "/conversations/", tag = "messaging", responses((status = 200, body = ConversationsBody)))]
async fn conversations(
    State(conversations): State<Arc<dyn Conversations>>,
    caller: Caller,
    Query(filter): Query<InboxFilter>,
    cursor: CursorQuery,
) -> Result<Json<ConversationsBody>> {
    Ok(Json(conversations.conversations(&caller, filter, cursor).await?.into()))
}

/// Get a conversation.
#[utoipa::path(get, path = "/conversations/{id}/", tag = "messaging",
    responses((status = 200, body = ConversationBody)),
)]
async fn conversation(
    State(conversations): State<Arc<dyn Conversations>>,
    caller: Caller,
    Path(id): Path<ConversationId>,
) -> Result<Tagged<ConversationBody>> {
    Ok(ConversationBody::tagged(conversations.conversation(&caller, id).await?))
}

/// Change what only the caller sees of a conversation: mute, archive, pin, mark as unread, keep a draft.
#[utoipa::path(patch, path = "/conversations/{id}/state/", tag = "messaging",
    responses((status = 200, body = ConversationBody)),
)]
async fn change_conversation_state(
    State(conversations): State<Arc<dyn Conversations>>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Json(body): Json<ConversationState>,
) -> Result<Tagged<ConversationBody>> {
    Ok(ConversationBody::tagged(conversations.change_state(&caller, id, body).await?))
}

/// Delete all messages of a conversation for the caller. The others keep them.
#[utoipa::path(delete, path = "/conversations/{id}/", tag = "messaging", responses((status = 204)))]
async fn clear_conversation(
    State(conversations): State<Arc<dyn Conversations>>,
    caller: Caller,
    Path(id): Path<ConversationId>,
) -> Result<StatusCode> {
    conversations.clear(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
