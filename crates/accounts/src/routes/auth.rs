use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, FromRequestParts, State},
    http::{StatusCode, header, request::Parts},
};
use guildhall_kernel::{Caller, IfMatch, Json, Path, Problem, Result, Slice, SliceParams, SliceQuery, Tagged};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::AccountsState;
use crate::{
    Account, AccountPatch, Accounts, Device, IssuedToken, IssuedUserToken, NewUser, NewUserToken, SignIn, SignedIn,
    TokenPair, Tokens, UserToken, UserTokenId,
};

pub(super) fn router() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(sign_in))
        .routes(routes!(refresh))
        .routes(routes!(refresh_as_before))
        .routes(routes!(sign_out))
        .routes(routes!(sign_out_as_before))
        .routes(routes!(sign_out_everywhere))
        .routes(routes!(verify))
        .routes(routes!(me, change_me))
        .routes(routes!(exchange_for_user_token))
        .routes(routes!(user_tokens, create_user_token))
        .routes(routes!(revoke_user_token))
}

impl<S: Send + Sync> FromRequestParts<S> for Device {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let agent = parts.headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        Ok(Self {
            ip: peer.map(|ConnectInfo(address)| address.ip().to_canonical().to_string()),
            user_agent: agent.map(|agent| agent.chars().take(256).collect()),
        })
    }
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
    (status = 401, description = "`invalid_credentials`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn sign_in(
    State(tokens): State<Arc<dyn Tokens>>,
    device: Device,
    Json(sign_in): Json<SignIn>,
) -> Result<Json<SignedIn>> {
    Ok(Json(tokens.sign_in(sign_in, device).await?))
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

/// End every session of the caller. User tokens stay.
#[utoipa::path(post, path = "/auth/logout-all/", tag = "tokens", responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn sign_out_everywhere(State(tokens): State<Arc<dyn Tokens>>, caller: Caller) -> Result<StatusCode> {
    tokens.sign_out_everywhere(&caller).await?;
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
