//! Creating an account.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_accounts::{NewUser, SignIn};
use guildhall_kernel::{Error, Query, Result};

use super::sign_in::{Next, signed_in};
use crate::{
    form::{FormErrors, Submission},
    local_path::LocalPath,
    page::{form_errors, redirect_with, show},
    view::View,
    web::App,
};

#[derive(Template)]
#[template(path = "accounts/register.html")]
struct RegisterPage<'a> {
    f: &'a View,
    e: FormErrors,
    username: &'a str,
    email: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    next: &'a str,
}

pub(crate) async fn registration_form(view: View, Query(next): Query<Next>) -> Response {
    registration_page(&view, StatusCode::OK, FormErrors::default(), &Submission::default(), &next.path())
}

fn registration_page(view: &View, status: StatusCode, e: FormErrors, form: &Submission, next: &LocalPath) -> Response {
    let page = RegisterPage {
        f: view,
        e,
        username: form.text("username"),
        email: form.text("email"),
        first_name: form.text("first_name"),
        last_name: form.text("last_name"),
        next: next.as_str(),
    };
    show(status, &page)
}

/// Creates the account and signs in. If the session cannot be opened, the page for signing in follows.
pub(crate) async fn register(State(app): State<App>, view: View, form: Submission) -> Result<Response> {
    let next = form.next().unwrap_or_else(LocalPath::home);
    let text = |name: &str| form.text(name).to_owned();
    let new = NewUser {
        username: text("username"),
        email: text("email").trim().to_owned(),
        password: text("password"),
        first_name: text("first_name"),
        last_name: text("last_name"),
    };
    let credentials = SignIn { username: new.username.clone(), password: new.password.clone() };
    if let Err(error) = app.accounts.accounts.register(new).await {
        let error = Error::from(error);
        // A taken name is about its field.
        let error = match error.code() {
            "username_taken" => Error::field("username", error.detail()),
            _ => error,
        };
        let e = form_errors(&view, error)?;
        return Ok(registration_page(&view, StatusCode::UNPROCESSABLE_ENTITY, e, &form, &next));
    }
    match app.accounts.tokens.sign_in(credentials).await {
        Ok(success) => signed_in(&app, success, &next),
        Err(_) => Ok(redirect_with(&app, "/login/", "flash-registered")),
    }
}
