//! The routes of all areas: `/organizations/…`, and the compatibility routes, whose paths name no organization.

mod strict;

use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{compat, custom, exchange, ledger, reports, sales, state::DealsState, tenancy, views, webhooks};

/// The routes of this crate, which the host may nest under any path.
pub fn router(state: DealsState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The OpenAPI description of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<DealsState> {
    let router = OpenApiRouter::new()
        .merge(tenancy::routes())
        .merge(sales::routes())
        .merge(ledger::routes())
        .merge(custom::routes())
        .merge(views::routes())
        .merge(webhooks::routes())
        .merge(reports::routes())
        .merge(exchange::routes())
        .merge(compat::routes());
    strict::refuse_unknown_parameters(router)
}
