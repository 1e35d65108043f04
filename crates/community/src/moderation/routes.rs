//! The routes.

mod moderation;
mod reports;
mod reviews;

use utoipa_axum::router::OpenApiRouter;

use crate::state::CommunityState;

pub(crate) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().merge(moderation::routes()).merge(reports::routes()).merge(reviews::routes())
}
