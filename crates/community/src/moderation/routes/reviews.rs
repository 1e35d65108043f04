//! The review queue of a group.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::{GroupId, PostId},
    moderation::ReviewQueue,
    posts::Post,
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().routes(routes!(queue)).routes(routes!(approve_post)).routes(routes!(reject_post))
}

/// List the posts of a group that await approval, oldest first. Only moderators may.
#[utoipa::path(get, path = "/groups/{id}/queue/", tag = "community", responses((status = 200, body = Page<Post>)))]
async fn queue(
    State(reviews): State<Arc<dyn ReviewQueue>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<Post>>> {
    Ok(Json(reviews.queue(&caller, id, page).await?))
}

/// Approve a post. Only moderators may.
#[utoipa::path(post, path = "/posts/{id}/approve/", tag = "community", responses((status = 204)))]
async fn approve_post(
    State(reviews): State<Arc<dyn ReviewQueue>>,
    caller: Caller,
    Path(id): Path<PostId>,
) -> Result<StatusCode> {
    reviews.decide_post(&caller, id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reject and delete a post that awaits approval. Only moderators may.
#[utoipa::path(post, path = "/posts/{id}/reject/", tag = "community", responses((status = 204)))]
async fn reject_post(
    State(reviews): State<Arc<dyn ReviewQueue>>,
    caller: Caller,
    Path(id): Path<PostId>,
) -> Result<StatusCode> {
    reviews.decide_post(&caller, id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}
