//! What staff can do with an account.

use axum::{extract::State, response::Response};
use guildhall_accounts::{AccountChange, UserTokenId};
use guildhall_admin::Key;
use guildhall_kernel::{ETag, Error, IfMatch, Kind, Path, Result, SessionId, Timestamp, UserId};

use super::{frame::row_url, inputs::Meanings, row::row_page};
use crate::{
    form::Submission,
    page::{form_errors, redirect_with},
    reader::Reader,
    web::App,
};

/// Leads back to a user's page, with a message or with what was refused.
async fn after(
    app: &App,
    reader: &Reader,
    id: UserId,
    outcome: Result<&'static str>,
    form: Submission,
) -> Result<Response> {
    match outcome {
        Ok(flash) => Ok(redirect_with(app, &row_url("users", id), flash)),
        Err(error) => {
            // A refused permission is shown on the page.
            let error = match error.kind() {
                Kind::Forbidden => {
                    let (code, detail) = (error.code().to_owned(), error.detail().to_owned());
                    Error::new(Kind::Conflict, code, detail)
                }
                _ => error,
            };
            let e = form_errors(&reader.view, error)?;
            row_page(app, reader, ("users", &Key::new([id.to_string()])), (e, form, Meanings::new())).await
        }
    }
}

/// The version of the account that the form shows. Required, because a form that is not complete would clear all roles.
fn version(form: &Submission) -> Result<IfMatch> {
    form.required("version")?;
    let micros = form.number::<i64>("version")?.map(Timestamp::from_unix_micros);
    Ok(micros.map_or_else(IfMatch::default, |time| IfMatch::only(ETag::from(time))))
}

pub(crate) async fn change_state(
    State(app): State<App>,
    Path(id): Path<UserId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let change = AccountChange { is_active: Some(form.is_checked("active")), roles: None };
    let outcome = app.accounts.staff.change_account(&reader.caller, id, change, version(&form)?).await;
    after(&app, &reader, id, outcome.map(|_| "flash-saved").map_err(Error::from), form).await
}

pub(crate) async fn change_roles(
    State(app): State<App>,
    Path(id): Path<UserId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let roles = form.all("role").map(str::to_owned).collect();
    let change = AccountChange { is_active: None, roles: Some(roles) };
    let outcome = app.accounts.staff.change_account(&reader.caller, id, change, version(&form)?).await;
    after(&app, &reader, id, outcome.map(|_| "flash-saved").map_err(Error::from), form).await
}

pub(crate) async fn send_reset(
    State(app): State<App>,
    Path(id): Path<UserId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let outcome = app.accounts.staff.send_reset(&reader.caller, id).await;
    after(&app, &reader, id, outcome.map(|()| "flash-email-sent").map_err(Error::from), form).await
}

pub(crate) async fn end_sessions(
    State(app): State<App>,
    Path(id): Path<UserId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let outcome = app.accounts.staff.end_sessions_of(&reader.caller, id).await;
    after(&app, &reader, id, outcome.map(|()| "flash-signed-out-device").map_err(Error::from), form).await
}

pub(crate) async fn end_session(
    State(app): State<App>,
    Path((id, session)): Path<(UserId, SessionId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let outcome = app.accounts.staff.end_session_of(&reader.caller, id, session).await;
    after(&app, &reader, id, outcome.map(|()| "flash-signed-out-device").map_err(Error::from), form).await
}

pub(crate) async fn revoke_token(
    State(app): State<App>,
    Path((id, token)): Path<(UserId, UserTokenId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let outcome = app.accounts.staff.revoke_user_token_of(&reader.caller, id, token).await;
    after(&app, &reader, id, outcome.map(|()| "flash-revoked").map_err(Error::from), form).await
}

pub(crate) async fn remove_picture(
    State(app): State<App>,
    Path(id): Path<UserId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let outcome = app.accounts.staff.remove_picture_of(&reader.caller, id).await;
    after(&app, &reader, id, outcome.map(|()| "flash-saved").map_err(Error::from), form).await
}

pub(crate) async fn remove_second_factor(
    State(app): State<App>,
    Path(id): Path<UserId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let outcome = app.accounts.staff.remove_second_factor(&reader.caller, id).await;
    after(&app, &reader, id, outcome.map(|()| "flash-second-factor-off").map_err(Error::from), form).await
}
