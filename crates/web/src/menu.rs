//! The page with all further places, and the appearance.

use askama::Template;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use guildhall_kernel::Result;

use crate::{
    cookies::YEAR,
    form::Submission,
    page::{back, ok},
    reader::{Frame, Place, Reader},
    view::{KEYS, LANGUAGE, THEME, Theme, ZONE},
    web::App,
};

#[derive(Template)]
#[template(path = "menu.html")]
struct MenuPage {
    f: Frame,
}

pub(crate) async fn menu(State(app): State<App>, reader: Reader) -> Result<Response> {
    Ok(ok(&MenuPage { f: reader.frame(&app, Place::More).await? }))
}

/// Stores the chosen theme, language, time zone and shortcuts in cookies of this browser.
pub(crate) async fn change_appearance(State(app): State<App>, form: Submission) -> Response {
    let mut response = back(form.next(), "/menu/");
    let theme = form.find("theme").and_then(Theme::parse).map(|theme| (THEME, theme.name().to_owned()));
    let language = form.filled("language").map(|tag| (LANGUAGE, tag.to_owned()));
    let zone = form.filled("zone").and_then(|name| name.parse::<chrono_tz::Tz>().ok());
    let zone = zone.map(|zone| (ZONE, zone.name().to_owned()));
    // A box that is not checked is not submitted, and some forms do not have it.
    let has_box = form.is_checked("with_keys");
    let keys = has_box.then(|| (KEYS, if form.is_checked("keys") { "on" } else { "off" }.to_owned()));
    for (name, value) in [theme, language, zone, keys].into_iter().flatten() {
        if let Some(cookie) = app.cookies().set(name, &value, YEAR) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response.into_response()
}
