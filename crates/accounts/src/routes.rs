//! The routes, as `/auth/…`, `/users/…` and `/.well-known/…`.

mod auth;
mod users;

use std::sync::Arc;

use axum::{
    extract::FromRef,
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
};
use guildhall_kernel::{Auth, Json, PublicUrl};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Accounts, Jwks, Tokens};

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct AccountsState {
    /// Who people are.
    pub accounts: Arc<dyn Accounts>,
    /// How they show it.
    pub tokens: Arc<dyn Tokens>,
    /// Who is asking.
    pub auth: Auth,
    /// What absolute URLs begin with.
    pub url: PublicUrl,
}

/// The routes `/auth/…` and `/users/…`, to be nested wherever the host likes.
pub fn router(state: AccountsState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The description of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<AccountsState> {
    // What is said about signing in is for one pair of ears (RFC 6749 §5.1).
    auth::router().layer(map_response(no_store)).merge(users::router())
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
#[utoipa::path(get, path = "/jwks.json", tag = "tokens", security(()), responses((status = 200, body = Jwks)))]
async fn jwks(axum::extract::State(tokens): axum::extract::State<Arc<dyn Tokens>>) -> Json<Jwks> {
    Json(tokens.jwks())
}
