use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Problem, Query, Result, Tagged};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

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
        .routes(routes!(refresh_as_before))
        .routes(routes!(sign_out))
        .routes(routes!(sign_out_as_before))
        .routes(routes!(sign_out_everywhere))
        .routes(routes!(verify))
        .routes(routes!(me, change_me, delete_me))
        .routes(routes!(export_me))
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
struct RefreshToken {
    /// The refresh token.
    refresh: String,
}

/// An access or refresh token.
#[derive(Deserialize, ToSchema)]
struct AnyToken {
    /// The token.
    token: String,
}

/// Nothing.
#[derive(Serialize, ToSchema)]
struct Nothing {}

/// Register. Whether the address is known is never told.
#[utoipa::path(post, path = "/auth/register/", tag = "accounts", security(()), responses(
    (status = 201, body = Account),
    (status = 409, description = "`username_taken`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn register(
    State(accounts): State<Arc<dyn Accounts>>,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Json<Account>)> {
    Ok((StatusCode::CREATED, Json(accounts.register(new).await?)))
}

/// Sign in with a username or a verified address.
#[utoipa::path(post, path = "/auth/login/", tag = "tokens", security(()), responses(
    (status = 200, body = SignedIn),
    (
        status = 401,
        description = "`invalid_credentials`, or `mfa_required` with `mfa_token` and `methods`",
        body = Problem,
    ),
    (status = 429, description = "`throttled`: too many failures, with `Retry-After`", body = Problem),
    (status = 503, description = "`auth_busy`: too many people at once, with `Retry-After`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn sign_in(State(tokens): State<Arc<dyn Tokens>>, Json(sign_in): Json<SignIn>) -> Result<Json<SignedIn>> {
    Ok(Json(tokens.sign_in(sign_in).await?))
}

/// The second step of a sign-in, where a second factor is set up.
#[utoipa::path(post, path = "/auth/login/mfa/", tag = "tokens", security(()), responses(
    (status = 200, body = SignedIn),
    (status = 429, description = "`throttled`: too many failures, with `Retry-After`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn sign_in_with_second_factor(
    State(tokens): State<Arc<dyn Tokens>>,
    Json(second): Json<SecondFactor>,
) -> Result<Json<SignedIn>> {
    Ok(Json(tokens.sign_in_with_second_factor(second).await?))
}

/// Exchange a refresh token for the next pair.
#[utoipa::path(post, path = "/auth/refresh/", tag = "tokens", security(()), responses(
    (status = 200, body = TokenPair),
    (status = 401, description = "`token_not_valid`, `token_expired`, `token_reused`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn refresh(State(tokens): State<Arc<dyn Tokens>>, Json(shown): Json<RefreshToken>) -> Result<Json<TokenPair>> {
    Ok(Json(tokens.refresh(&shown.refresh).await?))
}

/// The same as `/auth/refresh/`.
#[utoipa::path(post, path = "/auth/token/refresh/", tag = "tokens", security(()), responses(
    (status = 200, body = TokenPair),
    (status = "4XX", body = Problem),
))]
async fn refresh_as_before(state: State<Arc<dyn Tokens>>, shown: Json<RefreshToken>) -> Result<Json<TokenPair>> {
    refresh(state, shown).await
}

/// Sign out: ends the session of a refresh token, its access token included.
#[utoipa::path(post, path = "/auth/logout/", tag = "tokens", security(()), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn sign_out(State(tokens): State<Arc<dyn Tokens>>, Json(shown): Json<RefreshToken>) -> Result<StatusCode> {
    tokens.sign_out(&shown.refresh).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The same as `/auth/logout/`.
#[utoipa::path(post, path = "/auth/token/blacklist/", tag = "tokens", security(()), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn sign_out_as_before(state: State<Arc<dyn Tokens>>, shown: Json<RefreshToken>) -> Result<StatusCode> {
    sign_out(state, shown).await
}

/// End every session of the caller. User tokens stay, unless told otherwise.
#[utoipa::path(post, path = "/auth/logout-all/", tag = "tokens", params(SignOutEverywhere), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn sign_out_everywhere(
    State(tokens): State<Arc<dyn Tokens>>,
    caller: Caller,
    Query(which): Query<SignOutEverywhere>,
) -> Result<StatusCode> {
    tokens.sign_out_everywhere(&caller, which).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Is a token good at this moment?
#[utoipa::path(post, path = "/auth/verify/", tag = "tokens", security(()), responses(
    (status = 200, body = Nothing),
    (status = "4XX", body = Problem),
))]
async fn verify(State(tokens): State<Arc<dyn Tokens>>, Json(shown): Json<AnyToken>) -> Result<Json<Nothing>> {
    tokens.verify(&shown.token).await?;
    Ok(Json(Nothing {}))
}

/// The signed-in user.
#[utoipa::path(get, path = "/auth/me/", tag = "accounts", responses(
    (status = 200, body = Account, headers(("ETag" = String, description = "The version"))),
    (status = "4XX", body = Problem),
))]
async fn me(State(accounts): State<Arc<dyn Accounts>>, caller: Caller) -> Result<Tagged<Account>> {
    let account = accounts.me(&caller).await?;
    Ok(Tagged(account.updated_at.into(), account))
}

/// Change the signed-in user.
#[utoipa::path(patch, path = "/auth/me/", tag = "accounts",
    params(("If-Match" = Option<String>, Header, description = "Only if this is still the version")),
    responses(
        (status = 200, body = Account, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_me(
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    known: IfMatch,
    Json(patch): Json<AccountPatch>,
) -> Result<Tagged<Account>> {
    let account = accounts.change_me(&caller, patch, known).await?;
    Ok(Tagged(account.updated_at.into(), account))
}

/// Remove the signed-in user.
#[utoipa::path(delete, path = "/auth/me/", tag = "accounts", responses(
    (status = 204),
    (status = 409, description = "`last_superuser`, or `protected` with `blockers`: what keeps them", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn delete_me(
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    Json(proof): Json<PasswordProof>,
) -> Result<StatusCode> {
    accounts.delete_me(&caller, proof).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All that is kept about the signed-in user, without secrets.
#[utoipa::path(get, path = "/auth/me/export/", tag = "accounts", responses(
    (status = 200, body = Object),
    (status = "4XX", body = Problem),
))]
async fn export_me(State(accounts): State<Arc<dyn Accounts>>, caller: Caller) -> Result<Json<serde_json::Value>> {
    Ok(Json(accounts.export_me(&caller).await?))
}
