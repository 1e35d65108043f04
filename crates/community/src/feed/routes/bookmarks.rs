//! Bookmarks.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Json, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{feed::Bookmarks, id::PostId, posts::Post, state::CommunityState};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().routes(routes!(bookmark, remove_bookmark)).routes(routes!(bookmarks))
}

/// Bookmark a post.
#[utoipa::path(put, path = "/posts/{id}/bookmark/", tag = "community", responses((status = 204)))]
async fn bookmark(
    State(bookmarks): State<Arc<dyn Bookmarks>>,
    caller: Caller,
    Path(id): Path<PostId>,
) -> Result<StatusCode> {
    bookmarks.bookmark(&caller, id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a bookmark.
#[utoipa::path(delete, path = "/posts/{id}/bookmark/", tag = "community", responses((status = 204)))]
async fn remove_bookmark(
    State(bookmarks): State<Arc<dyn Bookmarks>>,
    caller: Caller,
    Path(id): Path<PostId>,
) -> Result<StatusCode> {
    bookmarks.bookmark(&caller, id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the caller's bookmarked posts that they may still read, most recently bookmarked first.
#[utoipa::path(get, path = "/bookmarks/", tag = "community", responses((status = 200, body = CursorPage<Post>)))]
async fn bookmarks(
    State(bookmarks): State<Arc<dyn Bookmarks>>,
    caller: Caller,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<Post>>> {
    Ok(Json(bookmarks.bookmarks(&caller, cursor).await?))
}
