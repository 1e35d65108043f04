//! The page that an invitation leads to. It signs in for the one act, and out again.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use guildhall_accounts::{SignIn, Tokens};
use guildhall_community::Groups;
use guildhall_kernel::{Caller, Error, Path};
use serde::Deserialize;

use crate::page::{Notice, show};

/// Whoever accepts says who they are.
#[derive(Template)]
#[template(path = "sign_in.html")]
struct Ask<'a> {
    service: &'a str,
    title: &'a str,
    text: &'a str,
    button: &'a str,
    username: &'a str,
    faults: &'a [String],
}

fn ask(status: StatusCode, service: &str, username: &str, faults: &[String]) -> Response {
    let page = Ask {
        service,
        title: "You are invited to a group",
        text: "Sign in to accept. Without an account, make one first, with the address that the invitation came to.",
        button: "Accept the invitation",
        username,
        faults,
    };
    show(status, &page)
}

pub(crate) async fn ask_who_accepts(State(name): State<Arc<str>>, Path(_): Path<String>) -> Response {
    ask(StatusCode::OK, &name, "", &[])
}

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct Shown {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

pub(crate) async fn accept(
    State(name): State<Arc<str>>,
    State(tokens): State<Arc<dyn Tokens>>,
    State(groups): State<Arc<dyn Groups>>,
    Path(token): Path<String>,
    Form(shown): Form<Shown>,
) -> Response {
    let Shown { username, password } = shown;
    let signed_in = match tokens.sign_in(SignIn { username: username.clone(), password }).await.map_err(Error::from) {
        Ok(signed_in) => signed_in,
        Err(error) => return not_signed_in(&name, &username, error),
    };
    let caller = Caller::new(signed_in.user.user.id, signed_in.user.user.roles);
    let accepted = groups.accept_invite(&caller, token).await.map_err(Error::from);
    if let Err(error) = tokens.sign_out(&signed_in.tokens.refresh).await {
        tracing::warn!(error = %Error::from(error), "a session that accepted an invitation stays open");
    }
    match accepted {
        Ok(group) => {
            let title = format!("You are in {}", group.name);
            let text = "Sign in where you use the service, and you will find the group.";
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
            let text = "Your account asks for a second factor. Sign in where you use the service, and accept there.";
            show(StatusCode::FORBIDDEN, &Notice { service, title: "Not on this page", text })
        }
        "invalid_credentials" | "invalid" => {
            ask(StatusCode::BAD_REQUEST, service, username, &["The name or the password is wrong.".to_owned()])
        }
        _ => ask(status, service, username, &[error.detail().to_owned()]),
    }
}

/// What cannot be mended on the page.
fn refused(service: &str, error: Error) -> Response {
    let status = error.kind().status();
    if status.is_server_error() {
        return error.into_response();
    }
    let (title, text) = match error.code() {
        "invite_for_other" => (
            "This invitation is for somebody else",
            "Sign in with the account that it was sent to. Its address has to be verified first.",
        ),
        "group_full" => ("The group is full", "Ask whoever has invited you."),
        "banned" => ("You may not be in this group", "Its moderators have decided so."),
        _ => ("This invitation does not work any more", "It was used or taken back, or too much time has passed."),
    };
    show(status, &Notice { service, title, text })
}
