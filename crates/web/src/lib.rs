#![doc = include_str!("../README.md")]

mod accounts;
mod admin;
mod assets;
mod blockers;
mod browser;
mod card;
mod chat;
mod community;
mod cookies;
mod deals;
mod form;
mod html;
mod i18n;
mod layer;
mod local_path;
mod menu;
mod messages;
mod messaging;
mod notifications;
mod page;
mod paging;
mod qr;
mod quote;
mod reader;
mod session;
mod setup_link;
mod view;
mod web;

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{get, post},
};

pub use admin::table_writes;
pub use setup_link::SetupLink;
pub use web::Web;

use web::App;

/// The routes of the pages, around the other routes of the server: the API, and the sockets. Browsers use these with
/// their session, and get the errors of pages, and of paths that do not exist, as pages.
pub fn router(web: Web, others: Router) -> Router {
    let app = App::new(web);
    let pages = Router::new()
        .merge(accounts::routes())
        .merge(admin::routes())
        .merge(community::routes())
        .merge(deals::routes())
        .merge(messaging::routes())
        .merge(notifications::routes())
        .merge(chat::routes())
        .route("/menu/", get(menu::menu))
        .route("/appearance/", post(menu::change_appearance))
        .with_state(app.clone());
    // The fallback of the second router is kept: what no route knows is a page that does not exist.
    others
        .layer(from_fn_with_state(app.clone(), layer::serve_api))
        .merge(pages)
        .layer(from_fn_with_state(app, layer::serve_browser))
        // The same for everybody, and kept by caches: without a session.
        .route("/assets/{hash}/{name}", get(assets::serve))
        .route("/push-worker.js", get(assets::push_worker))
}
