//! Exporting and erasing the own account.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use guildhall_accounts::PasswordProof;
use guildhall_kernel::{Error, Result};

use crate::{
    blockers::{Blocker, blockers},
    form::{FormErrors, Submission},
    page::{form_errors, redirect, show},
    reader::{Frame, Place, Reader},
    session::Session,
    web::App,
};

#[derive(Template)]
#[template(path = "accounts/data.html")]
struct DataPage {
    f: Frame,
    tab: &'static str,
    e: FormErrors,
    blockers: Vec<Blocker>,
}

async fn data_page(app: &App, reader: &Reader, e: FormErrors, blockers: Vec<Blocker>) -> Result<Response> {
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let f = reader.frame(app, Place::More).await?;
    Ok(show(status, &DataPage { f, tab: "data", e, blockers }))
}

pub(crate) async fn data(State(app): State<App>, reader: Reader) -> Result<Response> {
    data_page(&app, &reader, FormErrors::default(), Vec::new()).await
}

/// Exports all data stored about the reader, as a file.
pub(crate) async fn export(State(app): State<App>, reader: Reader, _: Submission) -> Result<Response> {
    let data = app.accounts.removals.export_me(&reader.caller).await.map_err(Error::from)?;
    let text = serde_json::to_string_pretty(&data).map_err(Error::internal)?;
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"account.json\""));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Deletes the own account.
pub(crate) async fn erase(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let proof = PasswordProof { password: form.text("password").to_owned() };
    match app.accounts.removals.delete_me(&reader.caller, proof).await.map_err(Error::from) {
        Ok(()) => {
            let mut response = redirect("/login/");
            if let Some(cookie) = Session::end_cookie(app.cookies()) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(error) => {
            let blockers = blockers(&error, &reader.view);
            let e = form_errors(&reader.view, error)?;
            data_page(&app, &reader, e, blockers).await
        }
    }
}
