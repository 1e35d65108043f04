//! The page to accept an invitation. It signs the user in for that one operation, and out again.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use guildhall_accounts::{SignIn, Tokens};
use guildhall_community::Invites;
use guildhall_kernel::{Caller, Error, Path};
use serde::Deserialize;

use crate::page::{Notice, show};

/// The sign-in form.
#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInForm<'a> {
    service: &'a str,
    title: &'a str,
    text: &'a str,
    button: &'a str,
    username: &'a str,
    errors: &'a [String],
}

fn sign_in_page(status: StatusCode, service: &str, username: &str, errors: &[String]) -> Response {
    let page = SignInForm {
        service,
        title: "You are invited to a group",
        text: "Sign in to accept. If you have no account, create one first, with the address that was invited.",
        button: "Accept the invitation",
        username,
        errors,
    };
    show(status, &page)
}

pub(crate) async fn accept_form(State(name): State<Arc<str>>, Path(_): Path<String>) -> Response {
    sign_in_page(StatusCode::OK, &name, "", &[])
}

/// The submitted form.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

pub(crate) async fn accept(
    State(name): State<Arc<str>>,
    State(tokens): State<Arc<dyn Tokens>>,
    State(invites): State<Arc<dyn Invites>>,
    Path(token): Path<String>,
    Form(form): Form<Credentials>,
) -> Response {
    let Credentials { username, password } = form;
    let signed_in = match tokens.sign_in(SignIn { username: username.clone(), password }).await.map_err(Error::from) {
        Ok(signed_in) => signed_in,
        Err(error) => return not_signed_in(&name, &username, error),
    };
    let caller = Caller::new(signed_in.user.user.id, signed_in.user.user.roles);
    let accepted = invites.accept_invite(&caller, token).await.map_err(Error::from);
    if let Err(error) = tokens.sign_out(&signed_in.tokens.refresh).await {
        tracing::warn!(error = %Error::from(error), "could not end the session of an accepted invitation");
    }
    match accepted {
        Ok(group) => {
            let title = format!("You are in {}", group.name);
            let text = "Sign in to the service to see the group.";
            show(StatusCode::OK, &Notice { service: &name, title: &title, text })
        }
        Err(error) => refused(&name, error),
    }
}

fn not_signed_in(service: &str, username: &str, error: Error) -> Response {
    let status = error.kind().status();
    match error.code() {
        _ if status.is_server_error() => error.into_response(),
        "mfa_required" => {
            let text = "Your account requires a second factor. Sign in to the service and accept the invitation there.";
            show(StatusCode::FORBIDDEN, &Notice { service, title: "Second factor required", text })
        }
        "invalid_credentials" | "invalid" => {
            sign_in_page(StatusCode::BAD_REQUEST, service, username, &["The username or password is wrong.".to_owned()])
        }
        _ => sign_in_page(status, service, username, &[error.detail().to_owned()]),
    }
}

/// Shows an error that cannot be corrected on the form.
fn refused(service: &str, error: Error) -> Response {
    let status = error.kind().status();
    if status.is_server_error() {
        return error.into_response();
    }
    let (title, text) = match error.code() {
        "invite_for_other" => (
            "This invitation is for another account",
            "Sign in with the account whose address was invited. The address must be verified.",
        ),
        "group_full" => ("The group is full", "Contact the person who invited you."),
        "banned" => ("You are banned from this group", "Contact its moderators."),
        _ => ("This invitation no longer works", "It has been used, revoked or has expired."),
    };
    show(status, &Notice { service, title, text })
}
