//! The page of the link in an email that unsubscribes its recipient. Mail servers send the same `POST` as its form,
//! from anywhere and without cookies (RFC 8058), so it requires nothing but the token in the path.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_kernel::{Error, Kind, Path, Result};

use crate::{
    page::{Notice, ok, show},
    view::View,
    web::App,
};

/// The form to unsubscribe.
#[derive(Template)]
#[template(path = "notifications/unsubscribe.html")]
struct UnsubscribeForm<'a> {
    f: &'a View,
}

pub(crate) async fn unsubscribe_form(State(app): State<App>, view: View, Path(token): Path<String>) -> Response {
    if app.unsubscribing.is_unsubscribe_token(&token) { ok(&UnsubscribeForm { f: &view }) } else { unknown_link(&view) }
}

pub(crate) async fn unsubscribe(State(app): State<App>, view: View, Path(token): Path<String>) -> Result<Response> {
    match app.unsubscribing.unsubscribe(&token).await.map_err(Error::from) {
        Ok(()) => {
            let (title, text) = (view.t("unsubscribed-title"), view.t("unsubscribed-text"));
            Ok(ok(&Notice { f: &view, title, text, link: None }))
        }
        Err(error) if error.kind() == Kind::NotFound => Ok(unknown_link(&view)),
        Err(error) => Err(error),
    }
}

fn unknown_link(view: &View) -> Response {
    let (title, text) = (view.t("not-found-title"), view.t("link-invalid-text"));
    show(StatusCode::NOT_FOUND, &Notice { f: view, title, text, link: None })
}
