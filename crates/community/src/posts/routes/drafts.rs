//! Drafts of posts.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::DraftId,
    posts::{Draft, Drafts, NewPost, Post},
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(drafts, save_draft))
        .routes(routes!(draft, change_draft, delete_draft))
        .routes(routes!(publish_draft))
}

/// List the caller's drafts, newest first.
#[utoipa::path(get, path = "/drafts/", tag = "community", responses((status = 200, body = Page<Draft>)))]
async fn drafts(State(drafts): State<Arc<dyn Drafts>>, caller: Caller, page: PageQuery) -> Result<Json<Page<Draft>>> {
    Ok(Json(drafts.drafts(&caller, page).await?))
}

/// Save a draft.
#[utoipa::path(post, path = "/drafts/", tag = "community", responses((status = 201, body = Draft)))]
async fn save_draft(
    State(drafts): State<Arc<dyn Drafts>>,
    caller: Caller,
    Json(body): Json<NewPost>,
) -> Result<(StatusCode, Json<Draft>)> {
    Ok((StatusCode::CREATED, Json(drafts.save_draft(&caller, body).await?)))
}

/// Get one of the caller's drafts.
#[utoipa::path(get, path = "/drafts/{id}/", tag = "community", responses((status = 200, body = Draft)))]
async fn draft(State(drafts): State<Arc<dyn Drafts>>, caller: Caller, Path(id): Path<DraftId>) -> Result<Json<Draft>> {
    Ok(Json(drafts.draft(&caller, id).await?))
}

/// Replace the content of a draft.
#[utoipa::path(put, path = "/drafts/{id}/", tag = "community", responses((status = 200, body = Draft)))]
async fn change_draft(
    State(drafts): State<Arc<dyn Drafts>>,
    caller: Caller,
    Path(id): Path<DraftId>,
    Json(body): Json<NewPost>,
) -> Result<Json<Draft>> {
    Ok(Json(drafts.change_draft(&caller, id, body).await?))
}

/// Delete a draft.
#[utoipa::path(delete, path = "/drafts/{id}/", tag = "community", responses((status = 204)))]
async fn delete_draft(
    State(drafts): State<Arc<dyn Drafts>>,
    caller: Caller,
    Path(id): Path<DraftId>,
) -> Result<StatusCode> {
    drafts.delete_draft(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Publish a draft as a post, and delete the draft.
#[utoipa::path(post, path = "/drafts/{id}/publish/", tag = "community", responses((status = 201, body = Post)))]
async fn publish_draft(
    State(drafts): State<Arc<dyn Drafts>>,
    caller: Caller,
    Path(id): Path<DraftId>,
) -> Result<(StatusCode, Tagged<Post>)> {
    let post = drafts.publish_draft(&caller, id).await?;
    Ok((StatusCode::CREATED, Tagged(post.updated_at.into(), post)))
}
