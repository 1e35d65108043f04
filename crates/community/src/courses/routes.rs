//! The routes.

mod courses;
mod enrolments;
mod lessons;

use utoipa_axum::router::OpenApiRouter;

use crate::state::CommunityState;

pub(crate) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().merge(courses::routes()).merge(enrolments::routes()).merge(lessons::routes())
}
