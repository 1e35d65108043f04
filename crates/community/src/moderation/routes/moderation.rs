//! Bans, and the moderation log.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Json, Page, PageQuery, Path, Result, UserId, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::GroupId,
    moderation::{Ban, LogEntry, Moderation, NewBan},
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().routes(routes!(bans, ban)).routes(routes!(unban)).routes(routes!(log))
}

/// List the bans of a group, newest first. Only moderators may.
#[utoipa::path(get, path = "/groups/{id}/bans/", tag = "community", responses((status = 200, body = Page<Ban>)))]
async fn bans(
    State(moderation): State<Arc<dyn Moderation>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<Ban>>> {
    Ok(Json(moderation.bans(&caller, id, page).await?))
}

/// Ban a user from a group, for a time or permanently, and remove them if they are a member. Only moderators may.
#[utoipa::path(post, path = "/groups/{id}/bans/", tag = "community", responses((status = 201, body = Ban)))]
async fn ban(
    State(moderation): State<Arc<dyn Moderation>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(body): Json<NewBan>,
) -> Result<(StatusCode, Json<Ban>)> {
    Ok((StatusCode::CREATED, Json(moderation.ban(&caller, id, body).await?)))
}

/// Lift a ban. Only moderators may.
#[utoipa::path(delete, path = "/groups/{id}/bans/{user_id}/", tag = "community", responses((status = 204)))]
async fn unban(
    State(moderation): State<Arc<dyn Moderation>>,
    caller: Caller,
    Path((id, user_id)): Path<(GroupId, UserId)>,
) -> Result<StatusCode> {
    moderation.unban(&caller, id, user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the moderation log of a group, newest first. Only moderators may.
#[utoipa::path(get, path = "/groups/{id}/log/", tag = "community",
    responses((status = 200, body = CursorPage<LogEntry>)),
)]
async fn log(
    State(moderation): State<Arc<dyn Moderation>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<LogEntry>>> {
    Ok(Json(moderation.log(&caller, id, cursor).await?))
}
