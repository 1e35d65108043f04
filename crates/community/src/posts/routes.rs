//! The routes.

mod attachments;
mod comments;
mod drafts;
mod polls;
mod posts;
mod reactions;

use utoipa_axum::router::OpenApiRouter;

use crate::state::CommunityState;

pub(crate) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .merge(attachments::routes())
        .merge(comments::routes())
        .merge(drafts::routes())
        .merge(polls::routes())
        .merge(posts::routes())
        .merge(reactions::routes())
}
