//! The notifications of a user.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Json, Path, Query, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Notification, NotificationFilter, NotificationId, Notifications, NotificationsState, ReadAll, UnreadCount,
};

pub(super) fn routes() -> OpenApiRouter<NotificationsState> {
    OpenApiRouter::new()
        .routes(routes!(notifications))
        .routes(routes!(unread_notifications))
        .routes(routes!(read_notification))
        .routes(routes!(read_all_notifications))
}

/// List the caller's notifications, newest first. Those about something that the caller may no longer see are left out.
#[utoipa::path(get, path = "/notifications/", tag = "notifications",
    responses((status = 200, body = CursorPage<Notification>)),
)]
async fn notifications(
    State(notifications): State<Arc<dyn Notifications>>,
    caller: Caller,
    Query(filter): Query<NotificationFilter>,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<Notification>>> {
    Ok(Json(notifications.notifications(&caller, filter, cursor).await?))
}

/// Count the caller's unread notifications, up to 100.
#[utoipa::path(get, path = "/notifications/unread-count/", tag = "notifications",
    responses((status = 200, body = UnreadCount)),
)]
async fn unread_notifications(
    State(notifications): State<Arc<dyn Notifications>>,
    caller: Caller,
) -> Result<Json<UnreadCount>> {
    Ok(Json(notifications.unread_notifications(&caller).await?))
}

/// Mark a notification as read.
#[utoipa::path(post, path = "/notifications/{id}/read/", tag = "notifications", responses((status = 204)))]
async fn read_notification(
    State(notifications): State<Arc<dyn Notifications>>,
    caller: Caller,
    Path(id): Path<NotificationId>,
) -> Result<StatusCode> {
    notifications.read_notification(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mark all notifications as read, or those up to one, or those about one object. Returns how many are still unread.
#[utoipa::path(post, path = "/notifications/read-all/", tag = "notifications",
    request_body(content = Option<ReadAll>),
    responses((status = 200, body = UnreadCount)),
)]
async fn read_all_notifications(
    State(notifications): State<Arc<dyn Notifications>>,
    caller: Caller,
    body: Option<Json<ReadAll>>,
) -> Result<Json<UnreadCount>> {
    let Json(which) = body.unwrap_or_default();
    Ok(Json(notifications.read_all_notifications(&caller, which).await?))
}
