//! Comments on posts.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, CursorPage, CursorQuery, IfMatch, Json, Path, Query, Result, Tagged, routes};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::{CommentId, PostId},
    posts::{Comment, CommentPatch, Comments, NewComment},
    state::CommunityState,
};

/// Filters of the list of comments.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CommentFilter {
    /// Only replies to this comment.
    parent: Option<CommentId>,
}

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(comments, create_comment))
        .routes(routes!(comment, change_comment, delete_comment))
        .routes(routes!(like_comment, unlike_comment))
}

/// List the comments on a post, or with `parent` the replies to one of them.
#[utoipa::path(get, path = "/posts/{id}/comments/", tag = "community",
    responses((status = 200, body = CursorPage<Comment>)),
)]
async fn comments(
    State(comments): State<Arc<dyn Comments>>,
    caller: Option<Caller>,
    Path(id): Path<PostId>,
    Query(filter): Query<CommentFilter>,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<Comment>>> {
    Ok(Json(comments.comments(caller, id, filter.parent, cursor).await?))
}

/// Comment on a post, or with `parent` reply to a comment.
#[utoipa::path(post, path = "/posts/{id}/comments/", tag = "community", responses((status = 201, body = Comment)))]
async fn create_comment(
    State(comments): State<Arc<dyn Comments>>,
    caller: Caller,
    Path(id): Path<PostId>,
    Json(body): Json<NewComment>,
) -> Result<(StatusCode, Tagged<Comment>)> {
    let comment = comments.create_comment(&caller, id, body).await?;
    Ok((StatusCode::CREATED, Tagged(comment.updated_at.into(), comment)))
}

/// Get a comment.
#[utoipa::path(get, path = "/comments/{id}/", tag = "community", responses((status = 200, body = Comment)))]
async fn comment(
    State(comments): State<Arc<dyn Comments>>,
    caller: Option<Caller>,
    Path(id): Path<CommentId>,
) -> Result<Tagged<Comment>> {
    let comment = comments.comment(caller, id).await?;
    Ok(Tagged(comment.updated_at.into(), comment))
}

/// Change a comment. Only its author may.
#[utoipa::path(patch, path = "/comments/{id}/", tag = "community", responses((status = 200, body = Comment)))]
async fn change_comment(
    State(comments): State<Arc<dyn Comments>>,
    caller: Caller,
    Path(id): Path<CommentId>,
    known: IfMatch,
    Json(body): Json<CommentPatch>,
) -> Result<Tagged<Comment>> {
    let comment = comments.change_comment(&caller, id, body, known).await?;
    Ok(Tagged(comment.updated_at.into(), comment))
}

/// Delete a comment. Its author, moderators and staff may. One that has replies stays, without its content.
#[utoipa::path(delete, path = "/comments/{id}/", tag = "community", responses((status = 204)))]
async fn delete_comment(
    State(comments): State<Arc<dyn Comments>>,
    caller: Caller,
    Path(id): Path<CommentId>,
) -> Result<StatusCode> {
    comments.delete_comment(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Like a comment.
#[utoipa::path(put, path = "/comments/{id}/like/", tag = "community", responses((status = 200, body = Comment)))]
async fn like_comment(
    State(comments): State<Arc<dyn Comments>>,
    caller: Caller,
    Path(id): Path<CommentId>,
) -> Result<Json<Comment>> {
    Ok(Json(comments.like_comment(&caller, id, Some(true)).await?))
}

/// Remove a like from a comment.
#[utoipa::path(delete, path = "/comments/{id}/like/", tag = "community", responses((status = 200, body = Comment)))]
async fn unlike_comment(
    State(comments): State<Arc<dyn Comments>>,
    caller: Caller,
    Path(id): Path<CommentId>,
) -> Result<Json<Comment>> {
    Ok(Json(comments.like_comment(&caller, id, Some(false)).await?))
}
