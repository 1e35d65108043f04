//! What the caller has chosen.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, Json, Result, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    model::{Preferences, PreferencesPatch},
    service::ChosenPreferences,
    state::MessagingState,
};

/// What the caller has chosen.
#[derive(Serialize, ToSchema)]
#[schema(as = MessagingPreferencesAnswer)]
struct PreferencesBody {
    /// `true`.
    success: bool,
    /// The preferences.
    preferences: Preferences,
}

pub(super) fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new().routes(routes!(messaging_preferences, change_messaging_preferences))
}

/// Get what the caller has chosen.
#[utoipa::path(get, path = "/preferences/", tag = "messaging", responses((status = 200, body = PreferencesBody)))]
async fn messaging_preferences(
    State(preferences): State<Arc<dyn ChosenPreferences>>,
    caller: Caller,
) -> Result<Json<PreferencesBody>> {
    Ok(Json(PreferencesBody { success: true, preferences: preferences.preferences(&caller).await? }))
}

/// Change what the caller has chosen: message requests, read receipts, being found.
#[utoipa::path(patch, path = "/preferences/", tag = "messaging", responses((status = 200, body = PreferencesBody)))]
async fn change_messaging_preferences(
    State(preferences): State<Arc<dyn ChosenPreferences>>,
    caller: Caller,
    Json(body): Json<PreferencesPatch>,
) -> Result<Json<PreferencesBody>> {
    Ok(Json(PreferencesBody { success: true, preferences: preferences.change_preferences(&caller, body).await? }))
}
