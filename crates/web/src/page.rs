//! Responses: pages with their security headers, redirects, errors.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use guildhall_kernel::{Error, FieldErrors, Kind, Problem, Result};

use crate::{
    cookies::Keep,
    form::FormErrors,
    local_path::LocalPath,
    messages::translated,
    reader::Frame,
    view::{FLASH, View},
    web::App,
};

/// Allows scripts, styles and pictures of this service, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Renders a page, or a part of one.
pub(crate) fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => with_headers((status, Html(text)).into_response()),
        Err(error) => Error::internal(error).into_response(),
    }
}

/// Renders a page with the status 200.
pub(crate) fn ok(page: &impl Template) -> Response {
    show(StatusCode::OK, page)
}

/// Adds the security headers. Pages are not stored, because they show what only their reader may see, and their URLs
/// are not sent to other sites, because some contain a token.
fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::VARY, HeaderValue::from_static("cookie, accept-language, hx-request-type, hx-target"));
    response
}

/// Leads to another page after a form (303).
pub(crate) fn redirect(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Leads to another page, which shows a message once. `flash` is its key.
pub(crate) fn redirect_with(app: &App, to: &str, flash: &str) -> Response {
    let mut response = redirect(to);
    if let Some(cookie) = app.cookies().set(FLASH, flash, Keep::Seconds(60)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Leads back to where a form came from, else to `fallback`.
pub(crate) fn back(next: Option<LocalPath>, fallback: &str) -> Response {
    redirect(next.as_ref().map_or(fallback, LocalPath::as_str))
}

/// Leads back, to a page that shows a message once.
pub(crate) fn back_with(app: &App, next: Option<LocalPath>, fallback: &str, flash: &str) -> Response {
    redirect_with(app, next.as_ref().map_or(fallback, LocalPath::as_str), flash)
}

/// What to show on a form that was refused. Errors that nobody can correct on the form are passed on.
pub(crate) fn form_errors(view: &View, error: impl Into<Error>) -> Result<FormErrors> {
    let error = error.into();
    match error.kind() {
        Kind::TooMany => {
            let text = wait_text(view, &Problem::from(error));
            Ok(FormErrors::of(FieldErrors::new(), Some(text)))
        }
        Kind::Invalid | Kind::Conflict | Kind::PreconditionFailed | Kind::Unprocessable => {
            let fields = error.fields().iter().map(|(field, messages)| {
                let messages = messages.iter().map(|message| translated(view, message)).collect();
                (field.clone(), messages)
            });
            let fields: FieldErrors = fields.collect();
            let general = fields.is_empty().then(|| sentence(view, error.code(), error.detail()));
            Ok(FormErrors::of(fields, general))
        }
        _ => Err(error),
    }
}

/// The text of an error: of its code if there is one, else the text of the service.
pub(crate) fn sentence(view: &View, code: &str, detail: &str) -> String {
    view.find(&format!("error-{}", code.replace('_', "-"))).unwrap_or_else(|| translated(view, detail))
}

/// How long to wait after a request that came too soon.
fn wait_text(view: &View, problem: &Problem) -> String {
    let key = match problem.code.as_str() {
        "slow_mode" => "slow-mode-wait",
        "requested_too_soon" => "request-again-in",
        _ => "wait-before",
    };
    let wait = problem.retry_after.map(|seconds| view.t1(key, "wait", view.wait(seconds)));
    wait.unwrap_or_else(|| view.t("too-many-text"))
}

/// Why a request was refused, as a sentence to show.
fn reason(view: &View, problem: &Problem) -> String {
    let errors: Vec<String> = problem.errors.values().flatten().map(|message| translated(view, message)).collect();
    match problem.status {
        _ if !errors.is_empty() => errors.join(" "),
        401 => view.t("connection-signed-out"),
        404 => view.t("not-found-text"),
        429 => wait_text(view, problem),
        503 => view.t("unavailable-text"),
        500.. => view.t("request-failed"),
        _ => sentence(view, &problem.code, &problem.detail),
    }
}

/// The response to a script whose request was refused. Its `reason` is a sentence to show.
pub(crate) fn refused_for_script(view: &View, mut problem: Problem) -> Response {
    problem.extensions.insert("reason".to_owned(), reason(view, &problem).into());
    let mut response = problem.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What is shown stays as it is.
    response.headers_mut().insert("hx-reswap", HeaderValue::from_static("none"));
    response
}

/// The page of an error.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    f: &'a View,
    title: String,
    text: String,
    request_id: Option<&'a str>,
    is_missing: bool,
}

/// The page of an error for somebody who is signed in.
#[derive(Template)]
#[template(path = "error_in_frame.html")]
struct ErrorInFrame<'a> {
    f: Frame,
    title: String,
    text: String,
    request_id: Option<&'a str>,
    is_missing: bool,
}

/// Renders the page of an error: inside the frame if there is one, so that the navigation stays.
pub(crate) fn error_page(view: &View, problem: &Problem, frame: Option<Frame>) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (title, text) = match problem.status {
        404 => ("not-found-title", reason(view, problem)),
        429 => ("too-many-title", reason(view, problem)),
        503 => ("unavailable-title", reason(view, problem)),
        500.. => ("broken-title", view.t("broken-text")),
        403 => ("forbidden-title", reason(view, problem)),
        _ => ("refused-title", reason(view, problem)),
    };
    let title = view.t(title);
    let request_id = problem.request_id.as_deref().filter(|_| status.is_server_error());
    let is_missing = problem.status == 404;
    let mut response = match frame {
        Some(f) => show(status, &ErrorInFrame { f, title, text, request_id, is_missing }),
        None => show(status, &ErrorPage { f: view, title, text, request_id, is_missing }),
    };
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A page with a message and no form.
#[derive(Template)]
#[template(path = "notice.html")]
pub(crate) struct Notice<'a> {
    pub(crate) f: &'a View,
    pub(crate) title: String,
    pub(crate) text: String,
    /// A page to go on to, and the text of its link.
    pub(crate) link: Option<(&'a str, String)>,
}
