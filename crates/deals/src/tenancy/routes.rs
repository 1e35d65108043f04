//! The routes.

mod invitations;
mod members;
mod organizations;
mod roles;
mod teams;

use utoipa_axum::router::OpenApiRouter;

use crate::state::DealsState;

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .merge(invitations::routes())
        .merge(members::routes())
        .merge(organizations::routes())
        .merge(roles::routes())
        .merge(teams::routes())
}
