//! Password, email address, second factor and sessions of the own account.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::Response,
};
use guildhall_accounts::{
    EmailChange, PasswordChange, PasswordProof, SecondFactorStatus, Session as OpenSession, SignOutEverywhere, TotpCode,
};
use guildhall_kernel::{CursorQuery, Error, FieldErrors, Path, Result, SessionId};

use crate::{
    browser::Browser,
    form::{FormErrors, Submission},
    html::Html,
    page::{back_with, form_errors, ok, redirect_with, show},
    qr::qr_code,
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many sessions are listed.
const SESSIONS: u64 = 50;

#[derive(Template)]
#[template(path = "accounts/security.html")]
struct SecurityPage<'a> {
    f: Frame,
    tab: &'static str,
    e: FormErrors,
    email: &'a str,
    factor: SecondFactorStatus,
    sessions: Vec<OpenSession>,
}

async fn security_page(app: &App, reader: &Reader, e: FormErrors, email: &str) -> Result<Response> {
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let f = reader.frame(app, Place::More).await?;
    let factor = app.accounts.second_factors.second_factor_status(&reader.caller).await.map_err(Error::from)?;
    let sessions = app.accounts.sessions.sessions(&reader.caller, CursorQuery::newest(SESSIONS)).await;
    let sessions = sessions.map_err(Error::from)?.results;
    Ok(show(status, &SecurityPage { f, tab: "security", e, email, factor, sessions }))
}

pub(crate) async fn security(State(app): State<App>, reader: Reader) -> Result<Response> {
    security_page(&app, &reader, FormErrors::default(), "").await
}

/// An error about the password, at the field of the form that contained it.
fn at_field(error: impl Into<Error>, field: &str) -> Error {
    let error = error.into();
    match error.fields().get("password") {
        Some(messages) if error.fields().len() == 1 => {
            Error::invalid(FieldErrors::from([(field.to_owned(), messages.clone())]))
        }
        _ => error,
    }
}

/// Changes the password, which ends all sessions; this browser gets a new one.
pub(crate) async fn change_password(
    State(app): State<App>,
    browser: Browser,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let change = PasswordChange {
        current_password: form.text("current_password").to_owned(),
        new_password: form.text("new_password").to_owned(),
    };
    match app.accounts.passwords.change_password(&reader.caller, change).await {
        Ok(tokens) => {
            let mut response = redirect_with(&app, "/account/security/", "flash-password-changed");
            let session = browser.session.map(|session| session.renewed(tokens, app.clock.now()));
            let cookie = session.and_then(|session| session.cookie(app.cookies(), app.session_seconds));
            if let Some(cookie) = cookie {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            security_page(&app, &reader, e, "").await
        }
    }
}

pub(crate) async fn change_email(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let email = form.text("email").trim().to_owned();
    let change = EmailChange { email: email.clone(), password: form.text("password").to_owned() };
    match app.accounts.email_addresses.change_email(&reader.caller, change).await {
        Ok(()) => Ok(redirect_with(&app, "/account/security/", "flash-email-sent")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            security_page(&app, &reader, e, &email).await
        }
    }
}

pub(crate) async fn resend_verification(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    app.accounts.email_addresses.resend_verification(&reader.caller).await.map_err(Error::from)?;
    Ok(back_with(&app, form.next(), "/account/", "flash-email-sent"))
}

#[derive(Template)]
#[template(path = "accounts/second_factor.html")]
struct SecondFactorPage<'a> {
    f: Frame,
    tab: &'static str,
    e: FormErrors,
    qr: Html,
    secret: &'a str,
    url: &'a str,
}

async fn second_factor_page(
    app: &App,
    reader: &Reader,
    e: FormErrors,
    (secret, url): (&str, &str),
) -> Result<Response> {
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let f = reader.frame(app, Place::More).await?;
    let qr = qr_code(url, &reader.view.t("qr-code"));
    Ok(show(status, &SecondFactorPage { f, tab: "security", e, qr, secret, url }))
}

/// Creates the secret of a second factor, after the password was confirmed.
pub(crate) async fn start_second_factor(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let proof = PasswordProof { password: form.text("factor_password").to_owned() };
    let started = async {
        app.accounts.passwords.step_up(&reader.caller, proof).await?;
        app.accounts.second_factors.set_up_totp(&reader.caller).await
    };
    match started.await {
        Ok(setup) => {
            second_factor_page(&app, &reader, FormErrors::default(), (&setup.secret, &setup.otpauth_url)).await
        }
        Err(error) => {
            let e = form_errors(&reader.view, at_field(error, "factor_password"))?;
            security_page(&app, &reader, e, "").await
        }
    }
}

#[derive(Template)]
#[template(path = "accounts/recovery_codes.html")]
struct RecoveryCodesPage {
    f: Frame,
    tab: &'static str,
    codes: Vec<String>,
}

/// Confirms the second factor. The recovery codes are shown in the response, and never again.
pub(crate) async fn confirm_second_factor(
    State(app): State<App>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let code = TotpCode { code: form.text("code").to_owned() };
    match app.accounts.second_factors.confirm_totp(&reader.caller, code).await {
        Ok(codes) => {
            let f = reader.frame(&app, Place::More).await?;
            Ok(ok(&RecoveryCodesPage { f, tab: "security", codes: codes.recovery_codes }))
        }
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            second_factor_page(&app, &reader, e, (form.text("secret"), form.text("url"))).await
        }
    }
}

pub(crate) async fn remove_second_factor(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let proof = PasswordProof { password: form.text("factor_password").to_owned() };
    match app.accounts.second_factors.remove_totp(&reader.caller, proof).await {
        Ok(()) => Ok(redirect_with(&app, "/account/security/", "flash-second-factor-off")),
        Err(error) => {
            let e = form_errors(&reader.view, at_field(error, "factor_password"))?;
            security_page(&app, &reader, e, "").await
        }
    }
}

pub(crate) async fn end_session(
    State(app): State<App>,
    Path(id): Path<SessionId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.accounts.sessions.end_session(&reader.caller, id).await.map_err(Error::from)?;
    Ok(redirect_with(&app, "/account/security/", "flash-signed-out-device"))
}

pub(crate) async fn end_other_sessions(State(app): State<App>, reader: Reader, _: Submission) -> Result<Response> {
    let which = SignOutEverywhere { others: true, include_tokens: false };
    app.accounts.sessions.sign_out_everywhere(&reader.caller, which).await.map_err(Error::from)?;
    Ok(redirect_with(&app, "/account/security/", "flash-signed-out-device"))
}
