//! Polls.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, Json, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::PostId,
    posts::{Poll, Polls, Vote},
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().routes(routes!(vote))
}

/// Vote in a poll, replacing the caller's earlier votes.
#[utoipa::path(put, path = "/posts/{id}/vote/", tag = "community", responses((status = 200, body = Poll)))]
async fn vote(
    State(polls): State<Arc<dyn Polls>>,
    caller: Caller,
    Path(id): Path<PostId>,
    Json(body): Json<Vote>,
) -> Result<Json<Poll>> {
    Ok(Json(polls.vote(&caller, id, body).await?))
}
