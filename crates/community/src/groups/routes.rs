//! The routes.

mod groups;
pub(crate) mod invites;
pub(crate) mod members;
mod pictures;
mod requests;

use utoipa_axum::router::OpenApiRouter;

use crate::state::CommunityState;

pub(crate) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .merge(groups::routes())
        .merge(invites::routes())
        .merge(members::routes())
        .merge(pictures::routes())
        .merge(requests::routes())
}
