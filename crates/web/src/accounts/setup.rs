//! The first start: the operator creates the first superuser with a link that the server has printed.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_accounts::{NewUser, SignIn};
use guildhall_kernel::{Error, Path, Result};

use super::sign_in::signed_in;
use crate::{
    form::{FormErrors, Submission},
    local_path::LocalPath,
    page::{Notice, form_errors, redirect, show},
    view::View,
    web::App,
};

#[derive(Template)]
#[template(path = "accounts/setup.html")]
struct SetupPage<'a> {
    f: &'a View,
    e: FormErrors,
    username: &'a str,
    email: &'a str,
    minutes: u64,
}

/// How many minutes the link can still be used; `None` if it cannot.
async fn minutes_left(app: &App, token: &str) -> Result<Option<u64>> {
    let remaining = app.setup.as_ref().and_then(|link| link.remaining(token, app.clock.now()));
    match remaining {
        Some(remaining) if app.accounts.first_start.needs_superuser().await.map_err(Error::from)? => {
            Ok(Some(remaining.as_secs().div_ceil(60)))
        }
        _ => Ok(None),
    }
}

fn spent(view: &View) -> Response {
    let (title, text) = (view.t("setup-spent-title"), view.t("setup-spent-text"));
    show(StatusCode::NOT_FOUND, &Notice { f: view, title, text, link: Some(("/login/", view.t("sign-in"))) })
}

fn setup_page(view: &View, status: StatusCode, e: FormErrors, form: &Submission, minutes: u64) -> Response {
    show(status, &SetupPage { f: view, e, username: form.text("username"), email: form.text("email"), minutes })
}

pub(crate) async fn setup_form(State(app): State<App>, view: View, Path(token): Path<String>) -> Result<Response> {
    Ok(match minutes_left(&app, &token).await? {
        Some(minutes) => setup_page(&view, StatusCode::OK, FormErrors::default(), &Submission::default(), minutes),
        None => spent(&view),
    })
}

pub(crate) async fn set_up(
    State(app): State<App>,
    view: View,
    Path(token): Path<String>,
    form: Submission,
) -> Result<Response> {
    let Some(minutes) = minutes_left(&app, &token).await? else { return Ok(spent(&view)) };
    let new = NewUser {
        username: form.text("username").to_owned(),
        email: form.text("email").trim().to_owned(),
        password: form.text("password").to_owned(),
        first_name: String::new(),
        last_name: String::new(),
    };
    let credentials = SignIn { username: new.username.clone(), password: new.password.clone() };
    if let Err(error) = app.accounts.first_start.create_first_superuser(new).await {
        let e = form_errors(&view, error)?;
        return Ok(setup_page(&view, StatusCode::UNPROCESSABLE_ENTITY, e, &form, minutes));
    }
    if let Some(link) = &app.setup {
        link.spend();
    }
    match app.accounts.tokens.sign_in(credentials).await {
        Ok(success) => signed_in(&app, success, &LocalPath::home()),
        Err(_) => Ok(redirect("/login/")),
    }
}
