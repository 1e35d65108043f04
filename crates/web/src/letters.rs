//! The pages that letters lead to.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use guildhall_accounts::{PasswordReset, Security};
use guildhall_kernel::{Error, Query};
use serde::Deserialize;

use crate::page::{Notice, show};

/// Something is to be confirmed, or a password chosen.
#[derive(Template)]
#[template(path = "form.html")]
struct Ask<'a> {
    service: &'a str,
    title: &'a str,
    text: &'a str,
    button: &'a str,
    token: &'a str,
    with_password: bool,
    faults: &'a [String],
}

/// What a letter's link carries.
#[derive(Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    token: String,
}

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct Chosen {
    #[serde(default)]
    token: String,
    #[serde(default)]
    new_password: String,
}

pub(crate) async fn ask_to_confirm(State(name): State<Arc<str>>, Query(link): Query<Link>) -> Response {
    let page = Ask {
        service: &name,
        title: "Confirm your address",
        text: "One click, and it is known that letters to this address reach you.",
        button: "Confirm the address",
        token: &link.token,
        with_password: false,
        faults: &[],
    };
    show(StatusCode::OK, &page)
}

pub(crate) async fn confirm(
    State(name): State<Arc<str>>,
    State(security): State<Arc<dyn Security>>,
    Form(link): Form<Link>,
) -> Response {
    match security.confirm_email(&link.token).await.map_err(Error::from) {
        Ok(()) => done(&name, "Your address is confirmed", "You can sign in with it from now on."),
        Err(error) => refused(&name, error),
    }
}

pub(crate) async fn ask_for_password(State(name): State<Arc<str>>, Query(link): Query<Link>) -> Response {
    choose_password(StatusCode::OK, &name, &link.token, &[])
}

pub(crate) async fn reset(
    State(name): State<Arc<str>>,
    State(security): State<Arc<dyn Security>>,
    Form(chosen): Form<Chosen>,
) -> Response {
    let Chosen { token, new_password } = chosen;
    match security.reset_password(PasswordReset { token: token.clone(), new_password }).await.map_err(Error::from) {
        Ok(()) => done(&name, "Your password was changed", "Sign in with it. Every session that was open has ended."),
        Err(error) => match error.fields().get("new_password") {
            Some(faults) => choose_password(StatusCode::BAD_REQUEST, &name, &token, faults),
            None => refused(&name, error),
        },
    }
}

fn choose_password(status: StatusCode, name: &str, token: &str, faults: &[String]) -> Response {
    let page = Ask {
        service: name,
        title: "Choose a new password",
        text: "Long is better than complicated: a few words that do not belong together.",
        button: "Change the password",
        token,
        with_password: true,
        faults,
    };
    show(status, &page)
}

fn done(service: &str, title: &str, text: &str) -> Response {
    show(StatusCode::OK, &Notice { service, title, text })
}

/// What cannot be mended on the page.
fn refused(service: &str, error: Error) -> Response {
    let status = error.kind().status();
    if status.is_server_error() {
        return error.into_response();
    }
    let (title, text) = match error.code() {
        "email_taken" => ("That address is taken", "Another account has confirmed it meanwhile."),
        _ => ("This link does not work any more", "It was used, or too much time has passed. Ask for a new letter."),
    };
    show(status, &Notice { service, title, text })
}
