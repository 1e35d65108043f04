//! Pages for the links in emails: confirm an address, reset a password.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use guildhall_accounts::{EmailAddresses, PasswordReset, Passwords};
use guildhall_kernel::{Error, Query};
use serde::Deserialize;

use crate::page::{Notice, show};

/// The form to confirm an address or to choose a password.
#[derive(Template)]
#[template(path = "form.html")]
struct FormPage<'a> {
    service: &'a str,
    title: &'a str,
    text: &'a str,
    button: &'a str,
    token: &'a str,
    with_password: bool,
    errors: &'a [String],
}

/// The query string of the link in an email.
#[derive(Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    token: String,
}

/// The submitted form.
#[derive(Deserialize)]
pub(crate) struct NewPassword {
    #[serde(default)]
    token: String,
    #[serde(default)]
    new_password: String,
}

pub(crate) async fn confirm_form(State(name): State<Arc<str>>, Query(link): Query<Link>) -> Response {
    let page = FormPage {
        service: &name,
        title: "Confirm your address",
        text: "Press the button to confirm that this email address is yours.",
        button: "Confirm the address",
        token: &link.token,
        with_password: false,
        errors: &[],
    };
    show(StatusCode::OK, &page)
}

pub(crate) async fn confirm(
    State(name): State<Arc<str>>,
    State(addresses): State<Arc<dyn EmailAddresses>>,
    Form(link): Form<Link>,
) -> Response {
    match addresses.confirm_email(&link.token).await.map_err(Error::from) {
        Ok(()) => done(&name, "Your address is confirmed", "You can now sign in with it."),
        Err(error) => refused(&name, error),
    }
}

pub(crate) async fn password_form(State(name): State<Arc<str>>, Query(link): Query<Link>) -> Response {
    choose_password_page(StatusCode::OK, &name, &link.token, &[])
}

pub(crate) async fn reset(
    State(name): State<Arc<str>>,
    State(passwords): State<Arc<dyn Passwords>>,
    Form(form): Form<NewPassword>,
) -> Response {
    let NewPassword { token, new_password } = form;
    match passwords.reset_password(PasswordReset { token: token.clone(), new_password }).await.map_err(Error::from) {
        Ok(()) => done(
            &name,
            "Your password was changed",
            "Sign in with the new password. All open sessions have been ended.",
        ),
        Err(error) => match error.fields().get("new_password") {
            Some(errors) => choose_password_page(StatusCode::BAD_REQUEST, &name, &token, errors),
            None => refused(&name, error),
        },
    }
}

fn choose_password_page(status: StatusCode, name: &str, token: &str, errors: &[String]) -> Response {
    let page = FormPage {
        service: name,
        title: "Choose a new password",
        text: "A long password is better than a complicated one. Several unrelated words work well.",
        button: "Change the password",
        token,
        with_password: true,
        errors,
    };
    show(status, &page)
}

fn done(service: &str, title: &str, text: &str) -> Response {
    show(StatusCode::OK, &Notice { service, title, text })
}

/// Shows an error that cannot be corrected on the form.
fn refused(service: &str, error: Error) -> Response {
    let status = error.kind().status();
    if status.is_server_error() {
        return error.into_response();
    }
    let (title, text) = match error.code() {
        "email_taken" => ("This address is already in use", "Another account has confirmed it in the meantime."),
        _ => ("This link no longer works", "It has been used or has expired. Request a new email."),
    };
    show(status, &Notice { service, title, text })
}
