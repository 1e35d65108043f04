//! User tokens, for programs.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_accounts::{NewUserToken, Scope, UserToken, UserTokenId};
use guildhall_kernel::{CursorQuery, Error, Path, Result};

use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, redirect_with, show},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many tokens are listed: more than a user can have.
const TOKENS: u64 = 50;

#[derive(Template)]
#[template(path = "accounts/tokens.html")]
struct TokensPage<'a> {
    f: Frame,
    tab: &'static str,
    e: FormErrors,
    tokens: Vec<UserToken>,
    /// A token that was just created.
    issued: Option<String>,
    name: &'a str,
    days: &'a str,
}

async fn tokens_page(
    app: &App,
    reader: &Reader,
    outcome: Result<Option<String>, FormErrors>,
    form: &Submission,
) -> Result<Response> {
    let f = reader.frame(app, Place::More).await?;
    let tokens = app.accounts.user_tokens.user_tokens(&reader.caller, CursorQuery::newest(TOKENS)).await;
    let tokens = tokens.map_err(Error::from)?.results;
    let (status, e, issued) = match outcome {
        Ok(issued) => (StatusCode::OK, FormErrors::default(), issued),
        Err(e) => (StatusCode::UNPROCESSABLE_ENTITY, e, None),
    };
    let (name, days) = if issued.is_some() { ("", "") } else { (form.text("name"), form.text("expires_in_days")) };
    Ok(show(status, &TokensPage { f, tab: "tokens", e, tokens, issued, name, days }))
}

pub(crate) async fn tokens(State(app): State<App>, reader: Reader) -> Result<Response> {
    tokens_page(&app, &reader, Ok(None), &Submission::default()).await
}

async fn issue(app: &App, reader: &Reader, form: &Submission) -> Result<String> {
    let new = NewUserToken {
        name: form.text("name").trim().to_owned(),
        expires_in_days: form.number("expires_in_days")?,
        scopes: form.is_checked("read_only").then(|| vec![Scope::Read]),
        password: form.find("password").map(str::to_owned),
    };
    Ok(app.accounts.user_tokens.create_user_token(&reader.caller, new).await.map_err(Error::from)?.token)
}

/// Creates a token. It is shown in the response, and never again.
pub(crate) async fn create_token(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let outcome = match issue(&app, &reader, &form).await {
        Ok(token) => Ok(Some(token)),
        Err(error) => Err(form_errors(&reader.view, error)?),
    };
    tokens_page(&app, &reader, outcome, &form).await
}

pub(crate) async fn revoke_token(
    State(app): State<App>,
    Path(id): Path<UserTokenId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.accounts.user_tokens.revoke_user_token(&reader.caller, id).await.map_err(Error::from)?;
    Ok(redirect_with(&app, "/account/tokens/", "flash-revoked"))
}
