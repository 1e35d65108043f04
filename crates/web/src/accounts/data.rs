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
    form::{FormErrors, Submission},
    page::{form_errors, redirect, show},
    reader::{Frame, Place, Reader},
    session::Session,
    web::App,
};

/// What has to be given to somebody else first.
struct Blocker {
    name: String,
    count: i64,
    examples: Vec<String>,
}

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

/// The blockers in an error.
fn blockers(error: &Error, reader: &Reader) -> Vec<Blocker> {
    let list = error.extension("blockers").and_then(|list| list.as_array()).cloned().unwrap_or_default();
    let blocker = |value: &serde_json::Value| {
        let model = value.get("model").and_then(|model| model.as_str()).unwrap_or_default();
        let examples = value.get("examples").and_then(|list| list.as_array()).cloned().unwrap_or_default();
        Blocker {
            name: reader.view.find(&format!("blocker-{model}")).unwrap_or_else(|| model.to_owned()),
            count: value.get("count").and_then(serde_json::Value::as_i64).unwrap_or_default(),
            examples: examples.iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect(),
        }
    };
    list.iter().map(blocker).collect()
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
            let blockers = blockers(&error, &reader);
            let e = form_errors(&reader.view, error)?;
            data_page(&app, &reader, e, blockers).await
        }
    }
}
