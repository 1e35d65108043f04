//! Pages of direct messages.

mod changes;
mod conversation;
mod inbox;
pub(crate) mod naming;
mod new_message;
mod rows;
mod state;
pub(crate) mod text;

use axum::{
    Router,
    routing::{get, post},
};

use crate::web::App;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/messaging/", get(inbox::inbox))
        .route("/messaging/new/", get(new_message::new_message))
        .route("/messaging/preferences/", post(state::change_preferences))
        .route("/messaging/conversation/{user}/", get(conversation::with_user).post(conversation::send_to_user))
        .route("/messaging/conversation/{user}/rows/", get(conversation::rows_with_user))
        .route("/messaging/{id}/", get(conversation::of_id).post(conversation::send_to_conversation))
        .route("/messaging/{id}/rows/", get(conversation::rows_of_id))
        .route("/messaging/{id}/state/", post(state::change_state))
        .route("/messaging/{id}/read/", post(state::mark_read))
        .route("/messaging/{id}/accept/", post(state::accept))
        .route("/messaging/{id}/decline/", post(state::decline))
        .route("/messaging/{id}/messages/{message}/", get(changes::message))
        .route("/messaging/{id}/messages/{message}/edit/", post(changes::edit))
        .route("/messaging/{id}/messages/{message}/delete/", post(changes::delete))
        .route("/messaging/{id}/messages/{message}/react/", post(changes::react))
}
