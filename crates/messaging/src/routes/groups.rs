//! Groups and their members.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Path, Result, Tagged, UserId, routes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::conversations::ConversationBody;
use crate::{
    id::ConversationId,
    model::{GroupPatch, Member, NewGroup, NewMembers},
    service::Groups,
    state::MessagingState,
};

/// A member of a group.
#[derive(Deserialize, ToSchema)]
#[schema(as = ConversationMemberRef)]
struct MemberRef {
    /// The user's id.
    user_id: UserId,
}

/// The people of a conversation.
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationMembersAnswer)]
struct MembersBody {
    /// `true`.
    success: bool,
    /// In the order in which they joined.
    members: Vec<Member>,
}

pub(super) fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new()
        .routes(routes!(create_group_conversation))
        .routes(routes!(rename_group_conversation))
        .routes(routes!(conversation_members, add_conversation_members))
        .routes(routes!(remove_conversation_member))
        .routes(routes!(leave_conversation))
        .routes(routes!(transfer_conversation))
}

/// Create a group.
#[utoipa::path(post, path = "/conversations/", tag = "messaging",
    responses((status = 201, body = ConversationBody)),
)]
async fn create_group_conversation(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Json(body): Json<NewGroup>,
) -> Result<(StatusCode, Tagged<ConversationBody>)> {
    Ok((StatusCode::CREATED, ConversationBody::tagged(groups.create_group(&caller, body).await?)))
}

/// Rename a group. Only its owner may.
#[utoipa::path(patch, path = "/conversations/{id}/", tag = "messaging",
    responses((status = 200, body = ConversationBody)),
)]
async fn rename_group_conversation(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    known: IfMatch,
    Json(body): Json<GroupPatch>,
) -> Result<Tagged<ConversationBody>> {
    Ok(ConversationBody::tagged(groups.rename(&caller, id, body, known).await?))
}

/// List the people of a conversation.
#[utoipa::path(get, path = "/conversations/{id}/members/", tag = "messaging",
    responses((status = 200, body = MembersBody)),
)]
async fn conversation_members(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<ConversationId>,
) -> Result<Json<MembersBody>> {
    Ok(Json(MembersBody { success: true, members: groups.members(&caller, id).await? }))
}

/// Add people to a group. Only its owner may.
#[utoipa::path(post, path = "/conversations/{id}/members/", tag = "messaging",
    responses((status = 200, body = MembersBody)),
)]
async fn add_conversation_members(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Json(body): Json<NewMembers>,
) -> Result<Json<MembersBody>> {
    Ok(Json(MembersBody { success: true, members: groups.add_members(&caller, id, body).await? }))
}

/// Remove a person from a group. Only its owner may.
#[utoipa::path(delete, path = "/conversations/{id}/members/{user_id}/", tag = "messaging",
    responses((status = 204)),
)]
async fn remove_conversation_member(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path((id, user_id)): Path<(ConversationId, UserId)>,
) -> Result<StatusCode> {
    groups.remove_member(&caller, id, user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leave a group. If the owner leaves, the longest-standing member owns it; without one, it is deleted.
#[utoipa::path(post, path = "/conversations/{id}/leave/", tag = "messaging", responses((status = 204)))]
async fn leave_conversation(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<ConversationId>,
) -> Result<StatusCode> {
    groups.leave(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Transfer the ownership of a group to another member.
#[utoipa::path(post, path = "/conversations/{id}/transfer/", tag = "messaging", request_body = MemberRef,
    responses((status = 200, body = ConversationBody)),
)]
async fn transfer_conversation(
    State(groups): State<Arc<dyn Groups>>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Json(body): Json<MemberRef>,
) -> Result<Tagged<ConversationBody>> {
    Ok(ConversationBody::tagged(groups.transfer(&caller, id, body.user_id).await?))
}
