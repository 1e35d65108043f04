#![doc = include_str!("../README.md")]

mod invites;
mod letters;
mod page;

use std::sync::Arc;

use axum::{Router, extract::FromRef, http::header, routing::get};
use guildhall_accounts::{Security, Tokens};
use guildhall_community::Groups;

/// What the pages need.
#[derive(Clone, FromRef)]
pub struct Web {
    /// What people sign in with.
    pub security: Arc<dyn Security>,
    /// Who signs in.
    pub tokens: Arc<dyn Tokens>,
    /// What people are invited to.
    pub groups: Arc<dyn Groups>,
    /// What people know the service as.
    pub name: Arc<str>,
}

/// The pages.
pub fn router(web: Web) -> Router {
    Router::new()
        .route("/email/verify/", get(letters::ask_to_confirm).post(letters::confirm))
        .route("/password/reset/", get(letters::ask_for_password).post(letters::reset))
        .route("/invites/{token}/", get(invites::ask_who_accepts).post(invites::accept))
        .with_state(web)
        .layer(axum::middleware::map_response(page::protect))
        .route("/pages/style.css", get(|| async { ([(header::CONTENT_TYPE, "text/css")], page::STYLE) }))
}
