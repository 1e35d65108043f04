//! The paths that front ends know from before. Each reaches the same service as its successor.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageParams, PageQuery, Path, Problem, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{CommunityState, people::Whom};
use crate::{Comment, CommentId, Group, GroupId, Groups, Invite, IssuedInvite, Joined, NewInvite, Post, PostId, Posts};

/// An invite's token.
#[derive(Deserialize, ToSchema)]
struct Token {
    /// As it was shown once.
    token: String,
}

/// What somebody makes of a post.
#[derive(Deserialize, ToSchema)]
struct ReactionType {
    /// One emoji, or one of `like love celebrate support insightful funny`.
    #[serde(default = "like")]
    reaction_type: String,
}

fn like() -> String {
    "like".to_owned()
}

/// Whether a post is kept.
#[derive(Serialize, ToSchema)]
struct Kept {
    /// It is kept now.
    is_bookmarked: bool,
}

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(earlier_toggle_bookmark))
        .routes(routes!(earlier_add_moderator))
        .routes(routes!(earlier_remove_moderator))
        .routes(routes!(earlier_remove_member))
        .routes(routes!(earlier_create_invite))
        .routes(routes!(earlier_list_invites))
        .routes(routes!(earlier_revoke_invite))
        .routes(routes!(earlier_accept_invite))
        .routes(routes!(earlier_accept_invite_to))
        .routes(routes!(earlier_toggle_reaction))
        .routes(routes!(earlier_toggle_like))
}

/// As `POST /groups/{id}/moderators/`.
#[utoipa::path(post, path = "/groups/{id}/add_moderator/", tag = "community", params(("id" = GroupId, Path)), responses((status = 200, body = Group), (status = "4XX", body = Problem)))]
async fn earlier_add_moderator(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<Whom>,
) -> Result<Json<Group>> {
    Ok(Json(groups.add_moderator(&caller, id, body.user_id).await?))
}

/// As `DELETE /groups/{id}/moderators/{user_id}/`.
#[utoipa::path(post, path = "/groups/{id}/remove_moderator/", tag = "community", params(("id" = GroupId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn earlier_remove_moderator(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<Whom>,
) -> Result<StatusCode> {
    groups.remove_moderator(&caller, id, body.user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// As `DELETE /groups/{id}/members/{user_id}/`.
#[utoipa::path(post, path = "/groups/{id}/remove_member/", tag = "community", params(("id" = GroupId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn earlier_remove_member(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<Whom>,
) -> Result<StatusCode> {
    groups.remove_member(&caller, id, body.user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// As `POST /groups/{id}/invites/`.
#[utoipa::path(post, path = "/groups/{id}/create_invite/", tag = "community", params(("id" = GroupId, Path)), responses((status = 201, body = IssuedInvite), (status = "4XX", body = Problem)))]
async fn earlier_create_invite(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<NewInvite>,
) -> Result<(StatusCode, Json<IssuedInvite>)> {
    Ok((StatusCode::CREATED, Json(groups.invite(&caller, id, body).await?)))
}

/// As `GET /groups/{id}/invites/`.
#[utoipa::path(get, path = "/groups/{id}/list_invites/", tag = "community", params(("id" = GroupId, Path), PageParams), responses((status = 200, body = Page<Invite>), (status = "4XX", body = Problem)))]
async fn earlier_list_invites(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<Invite>>> {
    Ok(Json(groups.invites(&caller, id, page).await?))
}

/// As `DELETE /groups/{id}/invites/{invite_id}/`, by the invite's token.
#[utoipa::path(post, path = "/groups/{id}/revoke_invite/", tag = "community", params(("id" = GroupId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn earlier_revoke_invite(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<Token>,
) -> Result<StatusCode> {
    groups.revoke_token(&caller, id, body.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// As `POST /invites/{token}/accept/`.
#[utoipa::path(post, path = "/groups/accept_invite/", tag = "community", responses((status = 200, body = Group), (status = "4XX", body = Problem)))]
async fn earlier_accept_invite(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Json(body): Json<Token>,
) -> Result<Json<Group>> {
    Ok(Json(groups.accept_invite(&caller, body.token).await?))
}

/// As `POST /invites/{token}/accept/`.
#[utoipa::path(post, path = "/groups/{id}/accept_invite/", tag = "community", params(("id" = GroupId, Path)), responses((status = 200, body = Joined), (status = "4XX", body = Problem)))]
async fn earlier_accept_invite_to(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<Token>,
) -> Result<Json<Joined>> {
    Ok(Json(groups.join(&caller, id, Some(body.token), String::new()).await?))
}

/// Say what the caller makes of a post, or take it back if they have said so before.
#[utoipa::path(post, path = "/posts/{id}/toggle_reaction/", tag = "community", params(("id" = PostId, Path)), responses((status = 200, body = Post), (status = "4XX", body = Problem)))]
async fn earlier_toggle_reaction(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
    Json(body): Json<ReactionType>,
) -> Result<Json<Post>> {
    Ok(Json(posts.toggle_reaction(&caller, id, body.reaction_type).await?))
}

/// Like a comment, or no longer.
#[utoipa::path(post, path = "/comments/{id}/toggle_like/", tag = "community", params(("id" = CommentId, Path)), responses((status = 200, body = Comment), (status = "4XX", body = Problem)))]
async fn earlier_toggle_like(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<CommentId>,
) -> Result<Json<Comment>> {
    Ok(Json(posts.like_comment(&caller, id, None).await?))
}

/// Keep a post, or no longer.
#[utoipa::path(post, path = "/posts/{id}/toggle_bookmark/", tag = "community", params(("id" = PostId, Path)), responses(
    (status = 200, body = Kept),
    (status = "4XX", body = Problem),
))]
async fn earlier_toggle_bookmark(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
) -> Result<Json<Kept>> {
    Ok(Json(Kept { is_bookmarked: posts.toggle_bookmark(&caller, id).await? }))
}
