//! Through which channels a user gets notifications.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, IfMatch, Json, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{NotificationPreferences, NotificationsState, Preferences, PreferencesPatch};

pub(super) fn routes() -> OpenApiRouter<NotificationsState> {
    OpenApiRouter::new().routes(routes!(notification_preferences, change_notification_preferences))
}

/// Get the caller's preferences: the channels of each kind of notification, quiet hours and digests.
#[utoipa::path(get, path = "/notifications/preferences/", tag = "notifications",
    responses((status = 200, body = NotificationPreferences)),
)]
async fn notification_preferences(
    State(preferences): State<Arc<dyn Preferences>>,
    caller: Caller,
) -> Result<Tagged<NotificationPreferences>> {
    let preferences = preferences.notification_preferences(&caller).await?;
    Ok(Tagged(preferences.updated_at.into(), preferences))
}

/// Change the caller's preferences.
#[utoipa::path(patch, path = "/notifications/preferences/", tag = "notifications",
    responses((status = 200, body = NotificationPreferences)),
)]
async fn change_notification_preferences(
    State(preferences): State<Arc<dyn Preferences>>,
    caller: Caller,
    known: IfMatch,
    Json(patch): Json<PreferencesPatch>,
) -> Result<Tagged<NotificationPreferences>> {
    let preferences = preferences.change_notification_preferences(&caller, patch, known).await?;
    Ok(Tagged(preferences.updated_at.into(), preferences))
}
