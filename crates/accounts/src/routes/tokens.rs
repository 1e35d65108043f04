use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Problem, Result, routes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{Jwks, SecondFactor, SignIn, SignedIn, Ticket, TokenPair, Tokens, state::AccountsState};

pub(super) fn routes() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new()
        .routes(routes!(sign_in))
        .routes(routes!(sign_in_with_second_factor))
        .routes(routes!(refresh))
        .routes(routes!(sign_out))
        .routes(routes!(verify))
        .routes(routes!(socket_ticket))
}

/// The public keys.
pub(super) fn well_known() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new().routes(routes!(jwks))
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RefreshToken {
    /// The refresh token.
    refresh: String,
}

/// An access or refresh token.
#[derive(Deserialize, ToSchema)]
struct AnyToken {
    /// The token.
    token: String,
}

/// An empty object.
#[derive(Serialize, ToSchema)]
struct Nothing {}

/// Sign in with a username or a verified email address.
#[utoipa::path(post, path = "/auth/login/", tag = "tokens", security(()),
    responses(
        (status = 200, body = SignedIn),
        (
            status = 401,
            description = "`invalid_credentials`, or `mfa_required` with `mfa_token` and `methods`",
            body = Problem,
        ),
        (status = 429, description = "`throttled`: too many failures, with `Retry-After`", body = Problem),
        (
            status = 503,
            description = "`auth_busy`: too many sign-ins at the same time, with `Retry-After`",
            body = Problem,
        ),
    ),
)]
async fn sign_in(State(tokens): State<Arc<dyn Tokens>>, Json(sign_in): Json<SignIn>) -> Result<Json<SignedIn>> {
    Ok(Json(tokens.sign_in(sign_in).await?))
}

/// Complete a sign-in with the second factor.
#[utoipa::path(post, path = "/auth/login/mfa/", tag = "tokens", security(()),
    responses(
        (status = 200, body = SignedIn),
        (status = 429, description = "`throttled`: too many failures, with `Retry-After`", body = Problem),
    ),
)]
async fn sign_in_with_second_factor(
    State(tokens): State<Arc<dyn Tokens>>,
    Json(second): Json<SecondFactor>,
) -> Result<Json<SignedIn>> {
    Ok(Json(tokens.sign_in_with_second_factor(second).await?))
}

/// Exchange a refresh token for a new pair of tokens.
#[utoipa::path(post, path = "/auth/refresh/", tag = "tokens", security(()),
    responses(
        (status = 200, body = TokenPair),
        (status = 401, description = "`token_not_valid`, `token_expired`, `token_reused`", body = Problem),
    ),
)]
pub(crate) async fn refresh(
    State(tokens): State<Arc<dyn Tokens>>,
    Json(body): Json<RefreshToken>,
) -> Result<Json<TokenPair>> {
    Ok(Json(tokens.refresh(&body.refresh).await?))
}

/// Sign out. Ends the session of a refresh token; its access token becomes invalid too.
#[utoipa::path(post, path = "/auth/logout/", tag = "tokens", security(()), responses((status = 204)))]
pub(crate) async fn sign_out(
    State(tokens): State<Arc<dyn Tokens>>,
    Json(body): Json<RefreshToken>,
) -> Result<StatusCode> {
    tokens.sign_out(&body.refresh).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Check that a token is currently valid.
#[utoipa::path(post, path = "/auth/verify/", tag = "tokens", security(()), responses((status = 200, body = Nothing)))]
async fn verify(State(tokens): State<Arc<dyn Tokens>>, Json(body): Json<AnyToken>) -> Result<Json<Nothing>> {
    tokens.verify(&body.token).await?;
    Ok(Json(Nothing {}))
}

/// Issue a ticket for one WebSocket, for `?ticket=`. It is single-use and short-lived.
#[utoipa::path(post, path = "/auth/ws-ticket/", tag = "tokens", responses((status = 200, body = Ticket)))]
async fn socket_ticket(State(tokens): State<Arc<dyn Tokens>>, caller: Caller) -> Result<Json<Ticket>> {
    Ok(Json(tokens.socket_ticket(&caller).await?))
}

/// Get the public keys that verify tokens.
#[utoipa::path(get, path = "/jwks.json", tag = "tokens", security(()),
    responses((status = 200, body = Jwks), (status = "5XX", body = Problem)),
)]
async fn jwks(State(tokens): State<Arc<dyn Tokens>>) -> Result<Json<Jwks>> {
    Ok(Json(tokens.jwks().await?))
}
