//! Browsers that receive web pushes.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{NewPushSubscription, NotificationsState, PushEndpoint, PushKey, PushSubscription, PushSubscriptions};

pub(super) fn routes() -> OpenApiRouter<NotificationsState> {
    OpenApiRouter::new().routes(routes!(push_key)).routes(routes!(add_push_subscription, remove_push_subscription))
}

/// Get the public key of the server, which browsers need to subscribe to web pushes.
#[utoipa::path(get, path = "/notifications/push-key/", tag = "notifications",
    responses((status = 200, body = PushKey)),
)]
async fn push_key(State(subscriptions): State<Arc<dyn PushSubscriptions>>, _: Caller) -> Result<Json<PushKey>> {
    Ok(Json(subscriptions.push_key()?))
}

/// Send the caller's notifications to a browser. The body is what `PushSubscription.toJSON()` returns there.
#[utoipa::path(post, path = "/notifications/push-subscriptions/", tag = "notifications",
    responses((status = 201, body = PushSubscription)),
)]
async fn add_push_subscription(
    State(subscriptions): State<Arc<dyn PushSubscriptions>>,
    caller: Caller,
    Json(new): Json<NewPushSubscription>,
) -> Result<(StatusCode, Json<PushSubscription>)> {
    Ok((StatusCode::CREATED, Json(subscriptions.add_push_subscription(&caller, new).await?)))
}

/// Send no more notifications to a browser.
#[utoipa::path(delete, path = "/notifications/push-subscriptions/", tag = "notifications",
    responses((status = 204)),
)]
async fn remove_push_subscription(
    State(subscriptions): State<Arc<dyn PushSubscriptions>>,
    caller: Caller,
    Json(endpoint): Json<PushEndpoint>,
) -> Result<StatusCode> {
    subscriptions.remove_push_subscription(&caller, endpoint).await?;
    Ok(StatusCode::NO_CONTENT)
}
