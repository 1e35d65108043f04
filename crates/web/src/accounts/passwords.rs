//! Passwords that were forgotten.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_accounts::{PasswordReset, ResetRequest};
use guildhall_kernel::{Error, Query, Result};

use super::emails::{Link, LinkPage, spent_link};
use crate::{
    form::{FormErrors, Submission},
    page::{Notice, form_errors, ok, show},
    view::View,
    web::App,
};

#[derive(Template)]
#[template(path = "accounts/forgot.html")]
struct ForgotPage<'a> {
    f: &'a View,
    e: FormErrors,
    email: &'a str,
}

pub(crate) async fn forgot_form(view: View) -> Response {
    ok(&ForgotPage { f: &view, e: FormErrors::default(), email: "" })
}

/// Requests a link. The page is the same whether or not the address is known.
pub(crate) async fn request_reset(State(app): State<App>, view: View, form: Submission) -> Result<Response> {
    let email = form.text("email").trim().to_owned();
    match app.accounts.passwords.request_reset(ResetRequest { email: email.clone() }).await {
        Ok(()) => {
            let link = Some(("/login/", view.t("sign-in")));
            Ok(ok(&Notice { f: &view, title: view.t("forgot-sent-title"), text: view.t("forgot-sent-text"), link }))
        }
        Err(error) => {
            let e = form_errors(&view, error)?;
            Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &ForgotPage { f: &view, e, email: &email }))
        }
    }
}

fn reset_page(view: &View, status: StatusCode, e: FormErrors, token: &str) -> Response {
    let page = LinkPage {
        f: view,
        e,
        title: view.t("reset-title"),
        text: view.t("reset-text"),
        button: view.t("reset-button"),
        token,
        with_password: true,
    };
    show(status, &page)
}

pub(crate) async fn reset_form(view: View, Query(link): Query<Link>) -> Response {
    reset_page(&view, StatusCode::OK, FormErrors::default(), link.token())
}

pub(crate) async fn reset(State(app): State<App>, view: View, form: Submission) -> Result<Response> {
    let token = form.text("token").to_owned();
    let reset = PasswordReset { token: token.clone(), new_password: form.text("new_password").to_owned() };
    let error = match app.accounts.passwords.reset_password(reset).await.map_err(Error::from) {
        Ok(()) => {
            let link = Some(("/login/", view.t("sign-in")));
            return Ok(ok(&Notice {
                f: &view,
                title: view.t("reset-done-title"),
                text: view.t("reset-done-text"),
                link,
            }));
        }
        Err(error) => error,
    };
    if error.fields().contains_key("token") {
        return Ok(spent_link(&view, StatusCode::BAD_REQUEST, Some(("/password/forgot/", view.t("send-link")))));
    }
    let e = form_errors(&view, error)?;
    Ok(reset_page(&view, StatusCode::UNPROCESSABLE_ENTITY, e, &token))
}
