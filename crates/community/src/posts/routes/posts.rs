//! Posts.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Path, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::PostId,
    posts::{NewPost, Post, PostPatch, Posts},
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().routes(routes!(create_post)).routes(routes!(post, change_post, delete_post))
}

/// Create a post, in a group that the caller is a member of or outside any group.
#[utoipa::path(post, path = "/posts/", tag = "community", responses((status = 201, body = Post)))]
async fn create_post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Json(body): Json<NewPost>,
) -> Result<(StatusCode, Tagged<Post>)> {
    let post = posts.create_post(&caller, body).await?;
    Ok((StatusCode::CREATED, Tagged(post.updated_at.into(), post)))
}

/// Get a post.
///
/// Without a token, posts that everybody may read are available if the settings allow anonymous reading.
#[utoipa::path(get, path = "/posts/{id}/", tag = "community", responses((status = 200, body = Post)))]
async fn post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Option<Caller>,
    Path(id): Path<PostId>,
) -> Result<Tagged<Post>> {
    let post = posts.post(caller, id).await?;
    Ok(Tagged(post.updated_at.into(), post))
}

/// Change a post. Its author may change the content; moderators may pin, feature and lock it.
#[utoipa::path(patch, path = "/posts/{id}/", tag = "community", responses((status = 200, body = Post)))]
async fn change_post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
    known: IfMatch,
    Json(body): Json<PostPatch>,
) -> Result<Tagged<Post>> {
    let post = posts.change_post(&caller, id, body, known).await?;
    Ok(Tagged(post.updated_at.into(), post))
}

/// Delete a post with its comments, reactions and attachments. Its author, moderators and staff may.
#[utoipa::path(delete, path = "/posts/{id}/", tag = "community", responses((status = 204)))]
async fn delete_post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
    known: IfMatch,
) -> Result<StatusCode> {
    posts.delete_post(&caller, id, known).await?;
    Ok(StatusCode::NO_CONTENT)
}
