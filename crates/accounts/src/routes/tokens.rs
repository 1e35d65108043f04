use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Json, Path, Result, SessionId, routes};
use utoipa_axum::router::OpenApiRouter;

use super::AccountsState;
use crate::{IssuedToken, IssuedUserToken, NewUserToken, Session, SignIn, Ticket, Tokens, UserToken, UserTokenId};

pub(super) fn router() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new()
        .routes(routes!(sessions))
        .routes(routes!(end_session))
        .routes(routes!(exchange_for_user_token))
        .routes(routes!(user_tokens, create_user_token))
        .routes(routes!(revoke_user_token))
        .routes(routes!(socket_ticket))
}

/// List the caller's sessions, newest first.
#[utoipa::path(get, path = "/auth/sessions/", tag = "tokens", responses((status = 200, body = CursorPage<Session>)))]
async fn sessions(
    State(tokens): State<Arc<dyn Tokens>>,
    caller: Caller,
    query: CursorQuery,
) -> Result<Json<CursorPage<Session>>> {
    Ok(Json(tokens.sessions(&caller, query).await?))
}

/// End one of the caller's sessions.
#[utoipa::path(delete, path = "/auth/sessions/{id}/", tag = "tokens", responses((status = 204)))]
async fn end_session(
    State(tokens): State<Arc<dyn Tokens>>,
    caller: Caller,
    Path(id): Path<SessionId>,
) -> Result<StatusCode> {
    tokens.end_session(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Exchange a username and password for a user token.
#[utoipa::path(post, path = "/auth/token/", tag = "tokens", security(()),
    responses((status = 200, body = IssuedToken)),
)]
async fn exchange_for_user_token(
    State(tokens): State<Arc<dyn Tokens>>,
    Json(sign_in): Json<SignIn>,
) -> Result<Json<IssuedToken>> {
    Ok(Json(tokens.exchange_for_user_token(sign_in).await?))
}

/// List the caller's user tokens, newest first.
#[utoipa::path(get, path = "/auth/tokens/", tag = "tokens", responses((status = 200, body = CursorPage<UserToken>)))]
async fn user_tokens(
    State(tokens): State<Arc<dyn Tokens>>,
    caller: Caller,
    query: CursorQuery,
) -> Result<Json<CursorPage<UserToken>>> {
    Ok(Json(tokens.user_tokens(&caller, query).await?))
}

/// Create a named user token. It is shown only once. If there are more than 20, the oldest is deleted.
#[utoipa::path(post, path = "/auth/tokens/", tag = "tokens", responses((status = 201, body = IssuedUserToken)))]
async fn create_user_token(
    State(tokens): State<Arc<dyn Tokens>>,
    caller: Caller,
    Json(new): Json<NewUserToken>,
) -> Result<(StatusCode, Json<IssuedUserToken>)> {
    Ok((StatusCode::CREATED, Json(tokens.create_user_token(&caller, new).await?)))
}

/// Revoke a user token.
#[utoipa::path(delete, path = "/auth/tokens/{id}/", tag = "tokens", responses((status = 204)))]
async fn revoke_user_token(
    State(tokens): State<Arc<dyn Tokens>>,
    caller: Caller,
    Path(id): Path<UserTokenId>,
) -> Result<StatusCode> {
    tokens.revoke_user_token(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Issue a ticket for one WebSocket, for `?ticket=`. It is single-use and short-lived.
#[utoipa::path(post, path = "/auth/ws-ticket/", tag = "tokens", responses((status = 200, body = Ticket)))]
async fn socket_ticket(State(tokens): State<Arc<dyn Tokens>>, caller: Caller) -> Result<Json<Ticket>> {
    Ok(Json(tokens.socket_ticket(&caller).await?))
}
