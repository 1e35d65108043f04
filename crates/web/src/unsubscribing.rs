//! The page of the link in an email that unsubscribes its recipient. Mail servers send the same `POST` as its form,
//! from anywhere and without cookies (RFC 8058), so it requires nothing but the token in the path.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use guildhall_kernel::{Error, Kind, Path};
use guildhall_notifications::Unsubscribing;

use crate::page::{Notice, show};

/// The form to unsubscribe.
#[derive(Template)]
#[template(path = "unsubscribe.html")]
struct UnsubscribeForm<'a> {
    service: &'a str,
    title: &'a str,
    text: &'a str,
}

pub(crate) async fn unsubscribe_form(
    State(name): State<Arc<str>>,
    State(unsubscribing): State<Arc<dyn Unsubscribing>>,
    Path(token): Path<String>,
) -> Response {
    if !unsubscribing.is_unsubscribe_token(&token) {
        return unknown_link(&name);
    }
    let text = "You will get no more emails about notifications. You can turn them on again in your preferences.";
    show(StatusCode::OK, &UnsubscribeForm { service: &name, title: "Unsubscribe", text })
}

pub(crate) async fn unsubscribe(
    State(name): State<Arc<str>>,
    State(unsubscribing): State<Arc<dyn Unsubscribing>>,
    Path(token): Path<String>,
) -> Response {
    match unsubscribing.unsubscribe(&token).await.map_err(Error::from) {
        Ok(()) => {
            let text = "You get no more emails about notifications.";
            show(StatusCode::OK, &Notice { service: &name, title: "You have unsubscribed", text })
        }
        Err(error) if error.kind() == Kind::NotFound => unknown_link(&name),
        Err(error) => error.into_response(),
    }
}

fn unknown_link(service: &str) -> Response {
    let text = "This link is not valid. Check that it is complete.";
    show(StatusCode::NOT_FOUND, &Notice { service, title: "Not found", text })
}
