use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Problem, Query, Result, Tagged, routes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::AccountsState;
use crate::{
    Account, AccountPatch, Accounts, NewUser, PasswordProof, SecondFactor, SignIn, SignOutEverywhere, SignedIn,
    TokenPair, Tokens,
};

pub(super) fn router() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(sign_in))
        .routes(routes!(sign_in_with_second_factor))
        .routes(routes!(refresh))
        .routes(routes!(sign_out))
        .routes(routes!(sign_out_everywhere))
        .routes(routes!(verify))
        .routes(routes!(me, change_me, delete_me))
        .routes(routes!(export_me))
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

/// Register an account. The response does not disclose whether the email address is already in use.
#[utoipa::path(post, path = "/auth/register/", tag = "accounts", security(()),
    responses((status = 201, body = Account), (status = 409, description = "`username_taken`", body = Problem)),
)]
async fn register(
    State(accounts): State<Arc<dyn Accounts>>,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Json<Account>)> {
    Ok((StatusCode::CREATED, Json(accounts.register(new).await?)))
}

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

/// End all sessions of the caller. User tokens are kept by default.
#[utoipa::path(post, path = "/auth/logout-all/", tag = "tokens", responses((status = 204)))]
async fn sign_out_everywhere(
    State(tokens): State<Arc<dyn Tokens>>,
    caller: Caller,
    Query(which): Query<SignOutEverywhere>,
) -> Result<StatusCode> {
    tokens.sign_out_everywhere(&caller, which).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Check that a token is currently valid.
#[utoipa::path(post, path = "/auth/verify/", tag = "tokens", security(()), responses((status = 200, body = Nothing)))]
async fn verify(State(tokens): State<Arc<dyn Tokens>>, Json(body): Json<AnyToken>) -> Result<Json<Nothing>> {
    tokens.verify(&body.token).await?;
    Ok(Json(Nothing {}))
}

/// Get the signed-in user.
#[utoipa::path(get, path = "/auth/me/", tag = "accounts", responses((status = 200, body = Account)))]
async fn me(State(accounts): State<Arc<dyn Accounts>>, caller: Caller) -> Result<Tagged<Account>> {
    let account = accounts.me(&caller).await?;
    Ok(Tagged(account.updated_at.into(), account))
}

/// Update the signed-in user.
#[utoipa::path(patch, path = "/auth/me/", tag = "accounts", responses((status = 200, body = Account)))]
async fn change_me(
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    if_match: IfMatch,
    Json(patch): Json<AccountPatch>,
) -> Result<Tagged<Account>> {
    let account = accounts.change_me(&caller, patch, if_match).await?;
    Ok(Tagged(account.updated_at.into(), account))
}

/// Delete the signed-in user.
#[utoipa::path(delete, path = "/auth/me/", tag = "accounts",
    responses(
        (status = 204),
        (status = 409, description = "`last_superuser`, or `protected` with `blockers`", body = Problem),
    ),
)]
async fn delete_me(
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    Json(proof): Json<PasswordProof>,
) -> Result<StatusCode> {
    accounts.delete_me(&caller, proof).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Export all data stored about the signed-in user, without secrets.
#[utoipa::path(get, path = "/auth/me/export/", tag = "accounts", responses((status = 200, body = Object)))]
async fn export_me(State(accounts): State<Arc<dyn Accounts>>, caller: Caller) -> Result<Json<serde_json::Value>> {
    Ok(Json(accounts.export_me(&caller).await?))
}
