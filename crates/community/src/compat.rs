//! Compatibility routes for older front ends. Each calls the same service as the current route.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Path, Result, openapi::deprecate, routes, routes_at};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    feed::Bookmarks,
    groups::{
        Group, Invites, Joined, Members,
        routes::{
            invites,
            members::{self, UserRef},
        },
    },
    id::{CommentId, GroupId, PostId},
    posts::{Comment, Comments, Post, Reactions},
    state::CommunityState,
};

/// The token of an invite.
#[derive(Deserialize, ToSchema)]
struct InviteToken {
    /// The token.
    token: String,
}

/// A kind of reaction.
#[derive(Deserialize, ToSchema)]
struct ReactionType {
    /// One emoji, or one of `like love celebrate support insightful funny`.
    #[serde(default = "like")]
    reaction_type: String,
}

fn like() -> String {
    "like".to_owned()
}

/// The state of a bookmark.
#[derive(Serialize, ToSchema)]
struct BookmarkState {
    /// Whether the post is bookmarked now.
    is_bookmarked: bool,
}

/// The id of the operation at its compatibility path.
fn compat(operation: &str) -> String {
    format!("compat_{operation}")
}

pub(crate) fn routes() -> OpenApiRouter<CommunityState> {
    let mut routes = OpenApiRouter::new()
        .routes(routes!(compat_toggle_bookmark))
        .routes(routes_at!("/groups/{id}/add_moderator/", compat; members::add_moderator))
        .routes(routes_at!("/groups/{id}/create_invite/", compat; invites::invite))
        .routes(routes_at!("/groups/{id}/list_invites/", compat; invites::invites))
        .routes(routes!(compat_remove_moderator))
        .routes(routes!(compat_remove_member))
        .routes(routes!(compat_revoke_invite))
        .routes(routes!(compat_accept_invite))
        .routes(routes!(compat_accept_group_invite))
        .routes(routes!(compat_toggle_reaction))
        .routes(routes!(compat_toggle_like));
    deprecate(&mut routes.get_openapi_mut().paths);
    routes
}

/// Demote a moderator to member. The same as `DELETE /groups/{id}/moderators/{user_id}/`.
#[utoipa::path(post, path = "/groups/{id}/remove_moderator/", tag = "community", responses((status = 204)))]
async fn compat_remove_moderator(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<UserRef>,
) -> Result<StatusCode> {
    members.remove_moderator(&caller, id, body.user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a member from a group. The same as `DELETE /groups/{id}/members/{user_id}/`.
#[utoipa::path(post, path = "/groups/{id}/remove_member/", tag = "community", responses((status = 204)))]
async fn compat_remove_member(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<UserRef>,
) -> Result<StatusCode> {
    members.remove_member(&caller, id, body.user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revoke an invite by its token. The same as `DELETE /groups/{id}/invites/{invite_id}/`.
#[utoipa::path(post, path = "/groups/{id}/revoke_invite/", tag = "community", responses((status = 204)))]
async fn compat_revoke_invite(
    State(invites): State<Arc<dyn Invites>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<InviteToken>,
) -> Result<StatusCode> {
    invites.revoke_token(&caller, id, body.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accept an invite. The same as `POST /invites/{token}/accept/`.
#[utoipa::path(post, path = "/groups/accept_invite/", tag = "community", responses((status = 200, body = Group)))]
async fn compat_accept_invite(
    State(invites): State<Arc<dyn Invites>>,
    caller: Caller,
    Json(body): Json<InviteToken>,
) -> Result<Json<Group>> {
    Ok(Json(invites.accept_invite(&caller, body.token).await?))
}

/// Accept an invite to this group. The same as `POST /groups/{id}/join/` with the token.
#[utoipa::path(post, path = "/groups/{id}/accept_invite/", tag = "community",
    responses((status = 200, body = Joined)),
)]
async fn compat_accept_group_invite(
    State(members): State<Arc<dyn Members>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<InviteToken>,
) -> Result<Json<Joined>> {
    Ok(Json(members.join(&caller, id, Some(body.token), String::new()).await?))
}

/// Set the caller's reaction to a post, or remove it if it is already of this kind.
#[utoipa::path(post, path = "/posts/{id}/toggle_reaction/", tag = "community", responses((status = 200, body = Post)))]
async fn compat_toggle_reaction(
    State(reactions): State<Arc<dyn Reactions>>,
    caller: Caller,
    Path(id): Path<PostId>,
    Json(body): Json<ReactionType>,
) -> Result<Json<Post>> {
    Ok(Json(reactions.toggle_reaction(&caller, id, body.reaction_type).await?))
}

/// Like a comment, or remove the like.
#[utoipa::path(post, path = "/comments/{id}/toggle_like/", tag = "community",
    responses((status = 200, body = Comment)),
)]
async fn compat_toggle_like(
    State(comments): State<Arc<dyn Comments>>,
    caller: Caller,
    Path(id): Path<CommentId>,
) -> Result<Json<Comment>> {
    Ok(Json(comments.like_comment(&caller, id, None).await?))
}

/// Bookmark a post, or remove the bookmark.
#[utoipa::path(post, path = "/posts/{id}/toggle_bookmark/", tag = "community",
    responses((status = 200, body = BookmarkState)),
)]
async fn compat_toggle_bookmark(
    State(bookmarks): State<Arc<dyn Bookmarks>>,
    caller: Caller,
    Path(id): Path<PostId>,
) -> Result<Json<BookmarkState>> {
    Ok(Json(BookmarkState { is_bookmarked: bookmarks.toggle_bookmark(&caller, id).await? }))
}
