use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Json, Path, Query, Result, SessionId, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{Session, Sessions, SignOutEverywhere, state::AccountsState};

pub(super) fn routes() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new().routes(routes!(sessions)).routes(routes!(end_session)).routes(routes!(sign_out_everywhere))
}

/// List the caller's sessions, newest first.
#[utoipa::path(get, path = "/auth/sessions/", tag = "tokens", responses((status = 200, body = CursorPage<Session>)))]
async fn sessions(
    State(sessions): State<Arc<dyn Sessions>>,
    caller: Caller,
    query: CursorQuery,
) -> Result<Json<CursorPage<Session>>> {
    Ok(Json(sessions.sessions(&caller, query).await?))
}

/// End one of the caller's sessions.
#[utoipa::path(delete, path = "/auth/sessions/{id}/", tag = "tokens", responses((status = 204)))]
async fn end_session(
    State(sessions): State<Arc<dyn Sessions>>,
    caller: Caller,
    Path(id): Path<SessionId>,
) -> Result<StatusCode> {
    sessions.end_session(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End all sessions of the caller. User tokens are kept by default.
#[utoipa::path(post, path = "/auth/logout-all/", tag = "tokens", responses((status = 204)))]
async fn sign_out_everywhere(
    State(sessions): State<Arc<dyn Sessions>>,
    caller: Caller,
    Query(which): Query<SignOutEverywhere>,
) -> Result<StatusCode> {
    sessions.sign_out_everywhere(&caller, which).await?;
    Ok(StatusCode::NO_CONTENT)
}
