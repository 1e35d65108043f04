//! The routes.

mod bookmarks;
mod feed;
mod follows;
mod search;

use utoipa_axum::router::OpenApiRouter;

use crate::state::CommunityState;

pub(crate) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .merge(bookmarks::routes())
        .merge(feed::routes())
        .merge(follows::routes())
        .merge(search::routes())
}
