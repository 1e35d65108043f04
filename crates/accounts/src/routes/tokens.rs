use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Path, Problem, Result, SessionId, Slice, SliceParams, SliceQuery};
use utoipa_axum::{router::OpenApiRouter, routes};

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

/// The devices that the caller is signed in on, newest first.
#[utoipa::path(get, path = "/auth/sessions/", tag = "tokens", params(SliceParams), responses(
    (status = 200, body = Slice<Session>),
    (status = "4XX", body = Problem),
))]
async fn sessions(
    State(tokens): State<Arc<dyn Tokens>>,
    caller: Caller,
    slice: SliceQuery,
) -> Result<Json<Slice<Session>>> {
    Ok(Json(tokens.sessions(&caller, slice).await?))
}

/// Sign a device out.
#[utoipa::path(delete, path = "/auth/sessions/{id}/", tag = "tokens", params(("id" = SessionId, Path)), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn end_session(
    State(tokens): State<Arc<dyn Tokens>>,
    caller: Caller,
    Path(id): Path<SessionId>,
) -> Result<StatusCode> {
    tokens.end_session(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Exchange a name and a password for a user token.
#[utoipa::path(post, path = "/auth/token/", tag = "tokens", security(()), responses(
    (status = 200, body = IssuedToken),
    (status = "4XX", body = Problem),
))]
async fn exchange_for_user_token(
    State(tokens): State<Arc<dyn Tokens>>,
    Json(sign_in): Json<SignIn>,
) -> Result<Json<IssuedToken>> {
    Ok(Json(tokens.exchange_for_user_token(sign_in).await?))
}

/// The caller's user tokens, newest first.
#[utoipa::path(get, path = "/auth/tokens/", tag = "tokens", params(SliceParams), responses(
    (status = 200, body = Slice<UserToken>),
    (status = "4XX", body = Problem),
))]
async fn user_tokens(
    State(tokens): State<Arc<dyn Tokens>>,
    caller: Caller,
    slice: SliceQuery,
) -> Result<Json<Slice<UserToken>>> {
    Ok(Json(tokens.user_tokens(&caller, slice).await?))
}

/// Make a named user token; it is shown this once. Of more than 20 the oldest goes.
#[utoipa::path(post, path = "/auth/tokens/", tag = "tokens", responses(
    (status = 201, body = IssuedUserToken),
    (status = "4XX", body = Problem),
))]
async fn create_user_token(
    State(tokens): State<Arc<dyn Tokens>>,
    caller: Caller,
    Json(new): Json<NewUserToken>,
) -> Result<(StatusCode, Json<IssuedUserToken>)> {
    Ok((StatusCode::CREATED, Json(tokens.create_user_token(&caller, new).await?)))
}

/// Take a user token back.
#[utoipa::path(delete, path = "/auth/tokens/{id}/", tag = "tokens", params(("id" = UserTokenId, Path)), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn revoke_user_token(
    State(tokens): State<Arc<dyn Tokens>>,
    caller: Caller,
    Path(id): Path<UserTokenId>,
) -> Result<StatusCode> {
    tokens.revoke_user_token(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get a ticket for one socket, for `?ticket=`: it works once, and not for long.
#[utoipa::path(post, path = "/auth/ws-ticket/", tag = "tokens", responses(
    (status = 200, body = Ticket),
    (status = "4XX", body = Problem),
))]
async fn socket_ticket(State(tokens): State<Arc<dyn Tokens>>, caller: Caller) -> Result<Json<Ticket>> {
    Ok(Json(tokens.socket_ticket(&caller).await?))
}
