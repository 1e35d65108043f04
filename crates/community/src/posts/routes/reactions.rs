//! Reactions to posts.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{id::PostId, posts::Reactions, state::CommunityState};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().routes(routes!(react, unreact))
}

/// Set the caller's reaction to a post, replacing any earlier one.
///
/// A reaction is one emoji, or one of `like love celebrate support insightful funny`.
#[utoipa::path(put, path = "/posts/{id}/reactions/{emoji}/", tag = "community", responses((status = 204)))]
async fn react(
    State(reactions): State<Arc<dyn Reactions>>,
    caller: Caller,
    Path((id, emoji)): Path<(PostId, String)>,
) -> Result<StatusCode> {
    reactions.react(&caller, id, emoji).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove the caller's reaction of this kind.
#[utoipa::path(delete, path = "/posts/{id}/reactions/{emoji}/", tag = "community", responses((status = 204)))]
async fn unreact(
    State(reactions): State<Arc<dyn Reactions>>,
    caller: Caller,
    Path((id, emoji)): Path<(PostId, String)>,
) -> Result<StatusCode> {
    reactions.unreact(&caller, id, Some(emoji)).await?;
    Ok(StatusCode::NO_CONTENT)
}
