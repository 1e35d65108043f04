//! The routes `/auth/…`, `/users/…`, `/admin/users/…` and `/.well-known/…`.

pub(crate) mod auth;
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
use guildhall_kernel::{Auth, Json, Problem, PublicUrl, Result, routes};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{Accounts, Jwks, Security, SqlAccounts, Staff, Tokens};

/// The state of the routes.
#[derive(Clone, FromRef)]
pub struct AccountsState {
    /// User accounts and the directory.
    pub accounts: Arc<dyn Accounts>,
    /// Sign-in, sessions and tokens.
    pub tokens: Arc<dyn Tokens>,
    /// Passwords, email addresses and second factors.
    pub security: Arc<dyn Security>,
    /// Account administration.
    pub staff: Arc<dyn Staff>,
    /// Authentication of requests.
    pub auth: Auth,
    /// The base of absolute URLs.
    pub url: PublicUrl,
}

impl AccountsState {
    /// The state for the services on a database and a public URL.
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

/// The routes `/auth/…`, `/users/…` and `/admin/users/…`, to be nested under any path.
pub fn router(state: AccountsState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The OpenAPI document of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<AccountsState> {
    // Responses with tokens must not be cached (RFC 6749 §5.1).
    let auth = auth::router().merge(tokens::router()).merge(security::router()).merge(crate::compat::routes());
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

/// The OpenAPI document of [`well_known`].
pub fn well_known_openapi() -> OpenApi {
    well_known_routes().into_openapi()
}

fn well_known_routes() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new().routes(routes!(jwks))
}

/// Get the public keys that verify tokens.
#[utoipa::path(get, path = "/jwks.json", tag = "tokens", security(()),
    responses((status = 200, body = Jwks), (status = "5XX", body = Problem)),
)]
async fn jwks(axum::extract::State(tokens): axum::extract::State<Arc<dyn Tokens>>) -> Result<Json<Jwks>> {
    Ok(Json(tokens.jwks().await?))
}
