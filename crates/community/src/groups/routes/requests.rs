//! Requests to join a group.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    groups::{JoinRequest, JoinRequests},
    id::{GroupId, RequestId},
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().routes(routes!(requests)).routes(routes!(approve_request)).routes(routes!(deny_request))
}

/// List the pending requests to join a group. Only moderators may.
#[utoipa::path(get, path = "/groups/{id}/requests/", tag = "community",
    responses((status = 200, body = Page<JoinRequest>)),
)]
async fn requests(
    State(requests): State<Arc<dyn JoinRequests>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<JoinRequest>>> {
    Ok(Json(requests.requests(&caller, id, page).await?))
}

/// Approve a request to join. Only moderators may.
#[utoipa::path(post, path = "/groups/{id}/requests/{request_id}/approve/", tag = "community",
    responses((status = 200, body = JoinRequest)),
)]
async fn approve_request(
    State(requests): State<Arc<dyn JoinRequests>>,
    caller: Caller,
    Path((id, request_id)): Path<(GroupId, RequestId)>,
) -> Result<Json<JoinRequest>> {
    Ok(Json(requests.decide_request(&caller, id, request_id, true).await?))
}

/// Deny a request to join. Only moderators may. The user can request again.
#[utoipa::path(post, path = "/groups/{id}/requests/{request_id}/deny/", tag = "community",
    responses((status = 200, body = JoinRequest)),
)]
async fn deny_request(
    State(requests): State<Arc<dyn JoinRequests>>,
    caller: Caller,
    Path((id, request_id)): Path<(GroupId, RequestId)>,
) -> Result<Json<JoinRequest>> {
    Ok(Json(requests.decide_request(&caller, id, request_id, false).await?))
}
