//! The routes.

mod notifications;
mod preferences;
mod subscriptions;

use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::NotificationsState;

/// The routes of this crate, `/notifications/…`. Nest them under any path.
pub fn router(state: NotificationsState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The OpenAPI document of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<NotificationsState> {
    OpenApiRouter::new().merge(notifications::routes()).merge(preferences::routes()).merge(subscriptions::routes())
}
