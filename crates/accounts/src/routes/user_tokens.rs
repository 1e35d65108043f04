use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Json, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    IssuedToken, IssuedUserToken, NewUserToken, SignIn, UserToken, UserTokenId, UserTokens, state::AccountsState,
};

pub(super) fn routes() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new()
        .routes(routes!(exchange_for_user_token))
        .routes(routes!(user_tokens, create_user_token))
        .routes(routes!(revoke_user_token))
}

/// Exchange a username and password for a user token.
#[utoipa::path(post, path = "/auth/token/", tag = "tokens", security(()),
    responses((status = 200, body = IssuedToken)),
)]
async fn exchange_for_user_token(
    State(tokens): State<Arc<dyn UserTokens>>,
    Json(sign_in): Json<SignIn>,
) -> Result<Json<IssuedToken>> {
    Ok(Json(tokens.exchange_for_user_token(sign_in).await?))
}

/// List the caller's user tokens, newest first.
#[utoipa::path(get, path = "/auth/tokens/", tag = "tokens", responses((status = 200, body = CursorPage<UserToken>)))]
async fn user_tokens(
    State(tokens): State<Arc<dyn UserTokens>>,
    caller: Caller,
    query: CursorQuery,
) -> Result<Json<CursorPage<UserToken>>> {
    Ok(Json(tokens.user_tokens(&caller, query).await?))
}

/// Create a named user token. It is shown only once. If there are more than 20, the oldest is deleted.
#[utoipa::path(post, path = "/auth/tokens/", tag = "tokens", responses((status = 201, body = IssuedUserToken)))]
async fn create_user_token(
    State(tokens): State<Arc<dyn UserTokens>>,
    caller: Caller,
    Json(new): Json<NewUserToken>,
) -> Result<(StatusCode, Json<IssuedUserToken>)> {
    Ok((StatusCode::CREATED, Json(tokens.create_user_token(&caller, new).await?)))
}

/// Revoke a user token.
#[utoipa::path(delete, path = "/auth/tokens/{id}/", tag = "tokens", responses((status = 204)))]
async fn revoke_user_token(
    State(tokens): State<Arc<dyn UserTokens>>,
    caller: Caller,
    Path(id): Path<UserTokenId>,
) -> Result<StatusCode> {
    tokens.revoke_user_token(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
