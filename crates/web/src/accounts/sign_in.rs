//! Signing in and out.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::Response,
};
use guildhall_accounts::{SecondFactor, SignIn, SignedIn};
use guildhall_kernel::{Error, FieldErrors, Kind, Query, Result};
use serde::Deserialize;

use crate::{
    browser::Browser,
    form::{FormErrors, Submission},
    local_path::LocalPath,
    page::{form_errors, redirect, show},
    reader::{NotSignedIn, Reader},
    session::Session,
    view::View,
    web::App,
};

#[derive(Template)]
#[template(path = "accounts/sign_in.html")]
struct SignInPage<'a> {
    f: &'a View,
    e: FormErrors,
    title: String,
    text: String,
    username: &'a str,
    next: &'a str,
    needs_setup: bool,
}

#[derive(Template)]
#[template(path = "accounts/code.html")]
struct CodePage<'a> {
    f: &'a View,
    e: FormErrors,
    token: &'a str,
    next: &'a str,
}

/// Where to go after signing in.
#[derive(Deserialize)]
pub(crate) struct Next {
    next: Option<String>,
}

impl Next {
    pub(crate) fn path(&self) -> LocalPath {
        self.next.as_deref().and_then(LocalPath::parse).unwrap_or_else(LocalPath::home)
    }
}

async fn sign_in_page(app: &App, view: &View, status: StatusCode, page: (FormErrors, &str, &str)) -> Result<Response> {
    let (e, username, next) = page;
    let needs_setup = app.setup.is_some() && app.accounts.first_start.needs_superuser().await.map_err(Error::from)?;
    let (title, text) = (view.t("sign-in"), view.t("sign-in-text"));
    Ok(show(status, &SignInPage { f: view, e, title, text, username, next, needs_setup }))
}

pub(crate) async fn sign_in_form(
    State(app): State<App>,
    view: View,
    Query(next): Query<Next>,
    reader: Result<Reader, NotSignedIn>,
) -> Result<Response> {
    let next = next.path();
    if reader.is_ok() {
        return Ok(redirect(next.as_str()));
    }
    sign_in_page(&app, &view, StatusCode::OK, (FormErrors::default(), "", next.as_str())).await
}

/// Leads on, with the cookie of a new session.
pub(crate) fn signed_in(app: &App, signed_in: SignedIn, next: &LocalPath) -> Result<Response> {
    let session = Session::begin(signed_in.tokens, app.clock.now())?;
    let mut response = redirect(next.as_str());
    if let Some(cookie) = session.cookie(app.cookies(), app.session_seconds) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

pub(crate) async fn sign_in(State(app): State<App>, view: View, form: Submission) -> Result<Response> {
    let next = form.next().unwrap_or_else(LocalPath::home);
    let (username, password) = (form.text("username").to_owned(), form.text("password").to_owned());
    let outcome = app.accounts.tokens.sign_in(SignIn { username: username.clone(), password }).await;
    let error = match outcome.map_err(Error::from) {
        Ok(success) => return signed_in(&app, success, &next),
        Err(error) => error,
    };
    match error.code() {
        "mfa_required" => {
            let token = error.extension("mfa_token").and_then(|token| token.as_str()).unwrap_or_default();
            let page = CodePage { f: &view, e: FormErrors::default(), token, next: next.as_str() };
            Ok(show(StatusCode::OK, &page))
        }
        "invalid_credentials" | "invalid" => {
            let e = FormErrors::of(FieldErrors::new(), Some(view.t("error-invalid-credentials")));
            sign_in_page(&app, &view, StatusCode::UNPROCESSABLE_ENTITY, (e, &username, next.as_str())).await
        }
        _ => {
            let status = error.kind().status();
            let e = form_errors(&view, error)?;
            sign_in_page(&app, &view, status, (e, &username, next.as_str())).await
        }
    }
}

pub(crate) async fn enter_code(State(app): State<App>, view: View, form: Submission) -> Result<Response> {
    let next = form.next().unwrap_or_else(LocalPath::home);
    let token = form.text("mfa_token").to_owned();
    let code = form.text("code").trim().to_owned();
    let second = SecondFactor { mfa_token: token.clone(), code };
    let error = match app.accounts.tokens.sign_in_with_second_factor(second).await.map_err(Error::from) {
        Ok(success) => return signed_in(&app, success, &next),
        Err(error) => error,
    };
    if error.kind() == Kind::Unauthenticated {
        // The first step is too long ago.
        let e = FormErrors::of(FieldErrors::new(), Some(view.t("error-sign-in-again")));
        return sign_in_page(&app, &view, StatusCode::UNPROCESSABLE_ENTITY, (e, "", next.as_str())).await;
    }
    let e = form_errors(&view, error)?;
    Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &CodePage { f: &view, e, token: &token, next: next.as_str() }))
}

pub(crate) async fn sign_out(State(app): State<App>, browser: Browser, _: Submission) -> Result<Response> {
    if let Some(session) = &browser.session {
        app.accounts.tokens.sign_out(&session.refresh).await.map_err(Error::from)?;
    }
    let mut response = redirect("/login/");
    if let Some(cookie) = Session::end_cookie(app.cookies()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
