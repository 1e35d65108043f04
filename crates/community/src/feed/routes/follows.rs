//! Follows between users.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Result, UserId, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    feed::{Follow, Follows},
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().routes(routes!(follows)).routes(routes!(follow, unfollow))
}

/// List the users whom the caller follows, most recently followed first.
#[utoipa::path(get, path = "/follows/", tag = "community", responses((status = 200, body = Page<Follow>)))]
async fn follows(
    State(follows): State<Arc<dyn Follows>>,
    caller: Caller,
    page: PageQuery,
) -> Result<Json<Page<Follow>>> {
    Ok(Json(follows.follows(&caller, page).await?))
}

/// Follow a user.
#[utoipa::path(put, path = "/follows/{user_id}/", tag = "community", responses((status = 204)))]
async fn follow(
    State(follows): State<Arc<dyn Follows>>,
    caller: Caller,
    Path(user_id): Path<UserId>,
) -> Result<StatusCode> {
    follows.follow(&caller, user_id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unfollow a user.
#[utoipa::path(delete, path = "/follows/{user_id}/", tag = "community", responses((status = 204)))]
async fn unfollow(
    State(follows): State<Arc<dyn Follows>>,
    caller: Caller,
    Path(user_id): Path<UserId>,
) -> Result<StatusCode> {
    follows.follow(&caller, user_id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}
