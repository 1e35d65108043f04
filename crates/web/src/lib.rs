#![doc = include_str!("../README.md")]

mod emails;
mod invites;
mod page;
mod unsubscribing;

use std::sync::Arc;

use axum::{Router, extract::FromRef, http::header, routing::get};
use guildhall_accounts::{EmailAddresses, Passwords, Tokens};
use guildhall_community::Invites;
use guildhall_notifications::Unsubscribing;

/// The services that the pages use.
#[derive(Clone, FromRef)]
pub struct Web {
    /// Confirms email addresses.
    pub email_addresses: Arc<dyn EmailAddresses>,
    /// Resets passwords.
    pub passwords: Arc<dyn Passwords>,
    /// Signs users in and out.
    pub tokens: Arc<dyn Tokens>,
    /// Accepts invitations.
    pub invites: Arc<dyn Invites>,
    /// Stops emails about notifications.
    pub unsubscribing: Arc<dyn Unsubscribing>,
    /// The display name of the service.
    pub name: Arc<str>,
}

/// The routes of the pages.
pub fn router(web: Web) -> Router {
    Router::new()
        .route("/email/verify/", get(emails::confirm_form).post(emails::confirm))
        .route("/password/reset/", get(emails::password_form).post(emails::reset))
        .route("/invites/{token}/", get(invites::accept_form).post(invites::accept))
        .route("/unsubscribe/{token}/", get(unsubscribing::unsubscribe_form).post(unsubscribing::unsubscribe))
        .with_state(web)
        .layer(axum::middleware::map_response(page::add_security_headers))
        .route("/pages/style.css", get(|| async { ([(header::CONTENT_TYPE, "text/css")], page::STYLE) }))
}
