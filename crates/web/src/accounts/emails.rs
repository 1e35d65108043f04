//! The page of the link that confirms an email address. It changes nothing until its form is submitted, because mail
//! programs open links on their own.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_kernel::{Error, Query, Result};
use serde::Deserialize;

use crate::{
    form::{FormErrors, Submission},
    page::{Notice, ok, show},
    view::View,
    web::App,
};

/// The form behind a link in an email.
#[derive(Template)]
#[template(path = "accounts/link.html")]
pub(super) struct LinkPage<'a> {
    pub(super) f: &'a View,
    pub(super) e: FormErrors,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) button: String,
    pub(super) token: &'a str,
    pub(super) with_password: bool,
}

/// The query string of a link in an email.
#[derive(Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    token: String,
}

impl Link {
    pub(super) fn token(&self) -> &str {
        &self.token
    }
}

/// The page for a link that can no longer be used.
pub(super) fn spent_link(view: &View, status: StatusCode, link: Option<(&str, String)>) -> Response {
    show(status, &Notice { f: view, title: view.t("link-spent-title"), text: view.t("link-spent-text"), link })
}

pub(crate) async fn confirm_form(view: View, Query(link): Query<Link>) -> Response {
    ok(&LinkPage {
        f: &view,
        e: FormErrors::default(),
        title: view.t("confirm-title"),
        text: view.t("confirm-text"),
        button: view.t("confirm-button"),
        token: link.token(),
        with_password: false,
    })
}

pub(crate) async fn confirm(State(app): State<App>, view: View, form: Submission) -> Result<Response> {
    let error = match app.accounts.email_addresses.confirm_email(form.text("token")).await.map_err(Error::from) {
        Ok(()) => {
            let link = Some(("/", view.t("place-home")));
            let (title, text) = (view.t("confirm-done-title"), view.t("confirm-done-text"));
            return Ok(ok(&Notice { f: &view, title, text, link }));
        }
        Err(error) => error,
    };
    let status = error.kind().status();
    match error.code() {
        "email_taken" => {
            let (title, text) = (view.t("email-taken-title"), view.t("email-taken-text"));
            Ok(show(status, &Notice { f: &view, title, text, link: None }))
        }
        _ if error.fields().contains_key("token") => {
            Ok(spent_link(&view, status, Some(("/account/security/", view.t("account-and-security")))))
        }
        _ => Err(error),
    }
}
