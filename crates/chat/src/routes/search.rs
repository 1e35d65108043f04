//! Full-text search.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Json, Query, Result, routes};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;

use crate::{id::RoomId, model::Message, service::Search, state::ChatState};

/// What to search for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RoomSearch {
    /// Words; the last one may be the prefix of a word.
    #[serde(default)]
    q: String,
    /// Only in this room. Without it, the 200 rooms that the caller has joined most recently are searched.
    room_id: Option<RoomId>,
}

pub(super) fn routes() -> OpenApiRouter<ChatState> {
    OpenApiRouter::new().routes(routes!(search_rooms))
}

/// Search the messages of the caller's rooms. Newest first; `before` is the id of a message.
#[utoipa::path(get, path = "/chat/search/", tag = "chat", responses((status = 200, body = CursorPage<Message>)))]
async fn search_rooms(
    State(search): State<Arc<dyn Search>>,
    caller: Caller,
    Query(query): Query<RoomSearch>,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<Message>>> {
    Ok(Json(search.search_messages(&caller, query.q, query.room_id, cursor).await?))
}
