//! The layer around all routes: it keeps the sessions of browsers, lets their scripts use the API and sockets, and
//! shows errors as pages.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::PathAndQuery},
    middleware::Next,
    response::{IntoResponse, Response},
};
use guildhall_kernel::{Credentials, Error, Kind, Origin, Problem, Result};

use crate::{
    browser::Browser,
    page::{error_page, redirect, refused_for_script},
    reader::{Frame, Place, Reader},
    session::{CsrfToken, Nonce, Session, check_origin, is_own_handshake},
    view::{FLASH, View},
    web::App,
};

/// Marks a response of the API, whose errors are not pages.
#[derive(Clone, Copy)]
struct OfApi;

/// Reads the session of a browser, refreshes its tokens when they are about to expire, and turns errors into pages
/// where a browser asks for one.
pub(crate) async fn serve_browser(State(app): State<App>, request: Request, next: Next) -> Response {
    let cookies = app.cookies();
    let headers = request.headers();
    // Programs authenticate themselves with a header, and get no cookies. A proxy may add one of another scheme.
    if !matches!(Credentials::from_headers(headers), Ok(None)) {
        return serve_program(request, next).await;
    }
    let shown_as = ErrorForm::of(headers);
    let known_visit = Nonce::of_visit(cookies, headers);
    let had_flash = cookies.get(headers, FLASH).is_some_and(|flash| !flash.is_empty());
    let visit = match known_visit.clone().map_or_else(Nonce::random, Ok) {
        Ok(visit) => visit,
        Err(error) => return error.into_response(),
    };
    let (session, is_changed, failure) = match refresh(&app, Session::from_headers(cookies, headers)).await {
        Ok((session, is_changed)) => (session, is_changed, None),
        Err(error) => (None, false, Some(error)),
    };
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(Browser::new(session.clone(), Some(visit.clone())));
    let view = shown_as.map(|form| (form, View::of(&parts, &app), parts.method.clone()));
    let mut response = match failure {
        Some(error) => error.into_response(),
        None => next.run(Request::from_parts(parts, body)).await,
    };
    let is_api = response.extensions().get::<OfApi>().is_some();
    if let Some((form, view, method)) = view
        && !is_api
    {
        response = match view {
            Ok(view) => show_error(&app, session.as_ref(), (form, &view), response, &method).await,
            Err(error) => return error.into_response(),
        };
    }
    let is_html = is_html(response.headers());
    let headers = response.headers_mut();
    // A handler that signs in or out sets the cookie itself.
    let has_own = Session::is_changed_by(cookies, headers);
    let mut add = |cookie: Option<HeaderValue>| {
        if let Some(cookie) = cookie {
            headers.append(header::SET_COOKIE, cookie);
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    };
    if is_changed && !has_own {
        add(match &session {
            Some(session) => session.cookie(cookies, app.session_seconds),
            None => Session::end_cookie(cookies),
        });
    }
    if is_html && known_visit.is_none() && session.is_none() {
        add(visit.visit_cookie(cookies));
    }
    if is_html && had_flash {
        add(cookies.remove(FLASH));
    }
    response
}

/// Serves a program: without a session, and with the errors of the API.
async fn serve_program(mut request: Request, next: Next) -> Response {
    request.headers_mut().remove(header::COOKIE);
    request.extensions_mut().insert(Browser::new(None, None));
    next.run(request).await
}

/// Replaces the tokens of a session that are about to expire. The second value says whether the cookie changes; the
/// session is `None` once it has ended.
async fn refresh(app: &App, session: Option<Session>) -> Result<(Option<Session>, bool)> {
    let now = app.clock.now();
    let Some(session) = session else { return Ok((None, false)) };
    if !session.is_due(now) {
        return Ok((Some(session), false));
    }
    match app.accounts.tokens.refresh(&session.refresh).await.map_err(Error::from) {
        Ok(tokens) => Ok((Some(session.renewed(tokens, now)), true)),
        Err(error) if error.kind() == Kind::Unauthenticated => Ok((None, true)),
        Err(error) => Err(error),
    }
}

/// How a browser shows an error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ErrorForm {
    /// As a page.
    Page,
    /// As a sentence in the page whose script has sent the request.
    Sentence,
}

impl ErrorForm {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if headers.contains_key("hx-request") || accept.contains("application/json") {
            return Some(Self::Sentence);
        }
        accept.contains("text/html").then_some(Self::Page)
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"))
}

/// Shows an error as a page, or as a sentence for a script. Whoever has to sign in is led to the page for that.
async fn show_error(
    app: &App,
    session: Option<&Session>,
    (form, view): (ErrorForm, &View),
    response: Response,
    method: &Method,
) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || is_html(response.headers()) {
        return response;
    }
    let mut problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None => Problem::from(Error::of_status(status)),
    };
    problem.status = status.as_u16();
    problem.request_id.clone_from(&Origin::current().request_id);
    let is_signed_out = status == StatusCode::UNAUTHORIZED;
    let mut page = match form {
        ErrorForm::Page if is_signed_out => redirect(&view.sign_in_path(method)),
        // The address of a form, which shows a page when it refuses what was entered.
        ErrorForm::Page if status == StatusCode::METHOD_NOT_ALLOWED && method == Method::GET => {
            redirect(view.path.parent().as_str())
        }
        ErrorForm::Page => {
            let frame = match session {
                // Nothing else is asked of a server that does not answer.
                Some(session) if status != StatusCode::SERVICE_UNAVAILABLE => frame_of(app, view, session).await,
                _ => None,
            };
            error_page(view, &problem, frame)
        }
        ErrorForm::Sentence => refused_for_script(view, problem),
    };
    if form == ErrorForm::Sentence
        && is_signed_out
        && let Ok(location) = HeaderValue::from_str(&view.sign_in_path(method))
    {
        // A script would follow a redirect and put the page into a part of the other one.
        page.headers_mut().insert("hx-redirect", location);
    }
    for name in [header::ALLOW, header::SET_COOKIE] {
        for value in response.headers().get_all(&name) {
            page.headers_mut().append(&name, value.clone());
        }
    }
    page
}

/// The frame around the pages of a session, if it is valid.
async fn frame_of(app: &App, view: &View, session: &Session) -> Option<Frame> {
    let credentials = Credentials::Bearer(session.access.clone());
    let caller = app.accounts.auth.authenticate(credentials).await.ok()?;
    Reader { caller, view: view.clone() }.frame(app, Place::Elsewhere).await.ok()
}

/// Lets the scripts of pages use the API and sockets with the session of their browser.
///
/// What changes something must carry the CSRF token. A socket gets a ticket, which lives as long as the session,
/// because scripts cannot read the tokens that would replace an expired one; browsers say in `Origin` which page opens
/// it.
pub(crate) async fn serve_api(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if let Err(error) = authorize(&app, &mut request).await {
        let mut response = error.into_response();
        response.extensions_mut().insert(OfApi);
        return response;
    }
    let mut response = next.run(request).await;
    response.extensions_mut().insert(OfApi);
    response
}

async fn authorize(app: &App, request: &mut Request) -> Result<()> {
    let Some(browser) = request.extensions().get::<Browser>().cloned() else { return Ok(()) };
    let Some(session) = &browser.session else { return Ok(()) };
    let headers = request.headers();
    if headers.contains_key(header::UPGRADE) {
        return authorize_socket(app, session, request).await;
    }
    if !request.method().is_safe() {
        check_origin(headers, &app.url)?;
        browser.check_csrf(CsrfToken::in_headers(headers))?;
    }
    let value = HeaderValue::from_str(&format!("Bearer {}", session.access)).map_err(Error::internal)?;
    request.headers_mut().insert(header::AUTHORIZATION, value);
    Ok(())
}

/// Adds a ticket to the handshake of a socket that has no other credentials.
async fn authorize_socket(app: &App, session: &Session, request: &mut Request) -> Result<()> {
    let query = request.uri().query().unwrap_or_default();
    let has_credentials = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "token" || name == "ticket");
    if has_credentials || !is_own_handshake(request.headers(), &app.url) {
        return Ok(());
    }
    let credentials = Credentials::Bearer(session.access.clone());
    let Ok(caller) = app.accounts.auth.authenticate(credentials).await else { return Ok(()) };
    let ticket = app.accounts.tokens.socket_ticket(&caller).await.map_err(Error::from)?.ticket;
    let separator = if query.is_empty() { "" } else { "&" };
    let target = format!("{}?{query}{separator}ticket={ticket}", request.uri().path());
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(Error::internal)?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(Error::internal)?;
    Ok(())
}
