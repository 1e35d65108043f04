//! People whom the caller has blocked.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, CursorQuery, Json, Path, Result, UserId, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::Done;
use crate::{model::Block, service::Blocks, state::MessagingState};

/// A page of blocked people.
#[derive(Serialize, ToSchema)]
#[schema(as = BlocksAnswer)]
struct BlocksBody {
    /// `true`.
    success: bool,
    /// Newest first.
    blocks: Vec<Block>,
    /// Absolute URL of the next page.
    next: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new().routes(routes!(blocked_users)).routes(routes!(block_user, unblock_user))
}

/// List the people whom the caller has blocked.
#[utoipa::path(get, path = "/blocks/", tag = "messaging", responses((status = 200, body = BlocksBody)))]
async fn blocked_users(
    State(blocks): State<Arc<dyn Blocks>>,
    caller: Caller,
    cursor: CursorQuery,
) -> Result<Json<BlocksBody>> {
    let page = blocks.blocks(&caller, cursor).await?;
    Ok(Json(BlocksBody { success: true, blocks: page.results, next: page.next }))
}

/// Block a user: the two can no longer write to each other. They are not informed.
#[utoipa::path(put, path = "/blocks/{user_id}/", tag = "messaging", responses((status = 200, body = Done)))]
async fn block_user(
    State(blocks): State<Arc<dyn Blocks>>,
    caller: Caller,
    Path(user): Path<UserId>,
) -> Result<Json<Done>> {
    blocks.block(&caller, user).await?;
    Ok(Json(Done::new()))
}

/// Unblock a user.
#[utoipa::path(delete, path = "/blocks/{user_id}/", tag = "messaging", responses((status = 200, body = Done)))]
async fn unblock_user(
    State(blocks): State<Arc<dyn Blocks>>,
    caller: Caller,
    Path(user): Path<UserId>,
) -> Result<Json<Done>> {
    blocks.unblock(&caller, user).await?;
    Ok(Json(Done::new()))
}
