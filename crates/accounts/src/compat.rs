//! Compatibility routes for older front ends: handlers of the other routes at a second path.

use guildhall_kernel::{openapi::deprecate, routes_at};
use utoipa_axum::router::OpenApiRouter;

use crate::{routes::tokens, state::AccountsState};

/// The id of the operation at its compatibility path.
fn compat(operation: &str) -> String {
    format!("compat_{operation}")
}

pub(crate) fn routes() -> OpenApiRouter<AccountsState> {
    let mut routes = OpenApiRouter::new()
        .routes(routes_at!("/auth/token/refresh/", compat; tokens::refresh))
        .routes(routes_at!("/auth/token/blacklist/", compat; tokens::sign_out));
    deprecate(&mut routes.get_openapi_mut().paths);
    routes
}
