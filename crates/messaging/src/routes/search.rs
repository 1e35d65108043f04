//! Full-text search.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, CursorQuery, Json, Query, Result, routes};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::{id::ConversationId, model::Message, service::Search, state::MessagingState};

/// What to search for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct MessageSearch {
    /// Words; the last one may be the prefix of a word.
    #[serde(default)]
    q: String,
    /// Only in this conversation.
    conversation_id: Option<ConversationId>,
}

/// The messages that were found.
#[derive(Serialize, ToSchema)]
#[schema(as = FoundMessagesAnswer)]
struct FoundBody {
    /// `true`.
    success: bool,
    /// Newest first.
    messages: Vec<Message>,
    /// Absolute URL of the next page.
    next: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new().routes(routes!(search_messages))
}

/// Search the messages of the caller's conversations.
#[utoipa::path(get, path = "/search/", tag = "messaging", responses((status = 200, body = FoundBody)))]
async fn search_messages(
    State(search): State<Arc<dyn Search>>,
    caller: Caller,
    Query(query): Query<MessageSearch>,
    cursor: CursorQuery,
) -> Result<Json<FoundBody>> {
    let page = search.search_messages(&caller, query.q, query.conversation_id, cursor).await?;
    Ok(Json(FoundBody { success: true, messages: page.results, next: page.next }))
}
