//! The routes.

mod events;
mod rsvps;

use utoipa_axum::router::OpenApiRouter;

use crate::state::CommunityState;

pub(crate) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().merge(events::routes()).merge(rsvps::routes())
}
