//! The routes, as `/auth/…`, `/users/…` and `/.well-known/…`.

mod auth;
mod security;
mod staff;
mod tokens;
mod users;

use std::sync::Arc;

use axum::{
    extract::FromRef,
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
};
use guildhall_kernel::{Auth, Json, Problem, PublicUrl, Result};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Accounts, Jwks, Security, SqlAccounts, Staff, Tokens};

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct AccountsState {
    /// Who people are.
    pub accounts: Arc<dyn Accounts>,
    /// How they show it.
    pub tokens: Arc<dyn Tokens>,
    /// What they show it with.
    pub security: Arc<dyn Security>,
    /// What staff does.
    pub staff: Arc<dyn Staff>,
    /// Who is asking.
    pub auth: Auth,
    /// What absolute URLs begin with.
    pub url: PublicUrl,
}

impl AccountsState {
    /// The state over a database, reached at an address.
    pub fn new(accounts: &SqlAccounts, url: PublicUrl) -> Self {
        Self {
            accounts: Arc::new(accounts.clone()),
            tokens: Arc::new(accounts.clone()),
            security: Arc::new(accounts.clone()),
            staff: Arc::new(accounts.clone()),
            auth: Auth::new(accounts.clone()),
            url,
        }
    }
}

/// The routes `/auth/…`, `/users/…` and `/admin/users/…`, to be nested wherever the host likes.
pub fn router(state: AccountsState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The description of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<AccountsState> {
    // What is said about signing in is for one pair of ears (RFC 6749 §5.1).
    let auth = auth::router().merge(tokens::router()).merge(security::router());
    auth.layer(map_response(no_store)).merge(users::router()).merge(staff::router())
}

async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The public keys, to be nested at `/.well-known`.
pub fn well_known(state: AccountsState) -> OpenApiRouter {
    well_known_routes().with_state(state)
}

/// The description of [`well_known`].
pub fn well_known_openapi() -> OpenApi {
    well_known_routes().into_openapi()
}

fn well_known_routes() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new().routes(routes!(jwks))
}

/// The public keys that tokens are signed with.
#[utoipa::path(get, path = "/jwks.json", tag = "tokens", security(()), responses(
    (status = 200, body = Jwks),
    (status = "5XX", body = Problem),
))]
async fn jwks(axum::extract::State(tokens): axum::extract::State<Arc<dyn Tokens>>) -> Result<Json<Jwks>> {
    Ok(Json(tokens.jwks().await?))
}
