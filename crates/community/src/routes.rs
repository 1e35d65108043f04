//! The routes of all areas.

use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{compat, courses, events, feed, groups, moderation, posts, state::CommunityState};

/// The routes of this crate. Nest them under any path.
pub fn router(state: CommunityState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The OpenAPI document of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .merge(groups::routes())
        .merge(feed::routes())
        .merge(posts::routes())
        .merge(moderation::routes())
        .merge(courses::routes())
        .merge(events::routes())
        .merge(compat::routes())
}
