//! The routes `/auth/…`, `/users/…`, `/admin/users/…` and `/.well-known/…`.

mod accounts;
mod email_addresses;
mod passwords;
mod removals;
mod second_factors;
mod sessions;
mod staff;
pub(crate) mod tokens;
mod user_tokens;

use axum::{
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{compat, state::AccountsState};

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
    auth().layer(map_response(no_store)).merge(accounts::directory()).merge(removals::by_staff()).merge(staff::routes())
}

/// The routes `/auth/…`.
fn auth() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new()
        .merge(accounts::own())
        .merge(removals::own())
        .merge(tokens::routes())
        .merge(sessions::routes())
        .merge(user_tokens::routes())
        .merge(passwords::routes())
        .merge(email_addresses::routes())
        .merge(second_factors::routes())
        .merge(compat::routes())
}

async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The public keys, to be nested at `/.well-known`.
pub fn well_known(state: AccountsState) -> OpenApiRouter {
    tokens::well_known().with_state(state)
}

/// The OpenAPI document of [`well_known`].
pub fn well_known_openapi() -> OpenApi {
    tokens::well_known().into_openapi()
}
