//! Pages of notifications.

mod list;
mod preferences;
mod unsubscribing;

use axum::{
    Router,
    routing::{get, post},
};

use crate::web::App;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/notifications/", get(list::notifications))
        .route("/notifications/read-all/", post(list::read_all))
        .route("/notifications/counts/", get(list::counts))
        .route("/notifications/{id}/open/", post(list::open))
        .route("/notifications/{id}/read/", post(list::read))
        .route("/notifications/settings/", get(preferences::settings).post(preferences::change))
        .route("/unsubscribe/{token}/", get(unsubscribing::unsubscribe_form).post(unsubscribing::unsubscribe))
}
