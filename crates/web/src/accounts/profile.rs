//! The names and the picture of the own account.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_accounts::AccountPatch;
use guildhall_kernel::{Error, IfMatch, Result};
use guildhall_messaging::Preferences;

use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, redirect_with, show},
    reader::{Frame, Place, Reader},
    web::App,
};

#[derive(Template)]
#[template(path = "accounts/profile.html")]
struct ProfilePage<'a> {
    f: Frame,
    tab: &'static str,
    /// What is wrong with the picture.
    picture: FormErrors,
    /// What is wrong with the names.
    e: FormErrors,
    display_name: String,
    first_name: String,
    last_name: String,
    messaging: &'a Preferences,
}

/// What was refused.
enum Refused {
    Nothing,
    Picture(FormErrors),
    /// With the names that were entered.
    Names(FormErrors, Submission),
}

async fn profile_page(app: &App, reader: &Reader, refused: Refused) -> Result<Response> {
    let f = reader.frame(app, Place::More).await?;
    let messaging = &app.messaging.preferences.preferences(&reader.caller).await.map_err(Error::from)?;
    let user = f.me.user.clone();
    // The name to show is the full name or the user name unless it was chosen.
    let full_name = format!("{} {}", user.first_name, user.last_name);
    let is_chosen = user.display_name != full_name.trim() && user.display_name != user.username;
    let chosen = if is_chosen { user.display_name } else { String::new() };
    let status = match refused {
        Refused::Nothing => StatusCode::OK,
        Refused::Picture(_) | Refused::Names(..) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let stored = [chosen, user.first_name, user.last_name];
    let (picture, e, names) = match refused {
        Refused::Nothing => (FormErrors::default(), FormErrors::default(), stored),
        Refused::Picture(picture) => (picture, FormErrors::default(), stored),
        Refused::Names(e, form) => {
            let entered = ["display_name", "first_name", "last_name"].map(|name| form.text(name).to_owned());
            (FormErrors::default(), e, entered)
        }
    };
    let [display_name, first_name, last_name] = names;
    Ok(show(status, &ProfilePage { f, tab: "profile", picture, e, display_name, first_name, last_name, messaging }))
}

/// Sets or removes the picture.
pub(crate) async fn change_picture(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let accounts = &app.accounts.accounts;
    let changed = if form.is_checked("remove") {
        accounts.remove_picture(&reader.caller).await
    } else {
        match form.into_upload("image") {
            Ok(upload) => accounts.set_picture(&reader.caller, upload.bytes).await.map(|_| ()),
            Err(error) => Err(error.into()),
        }
    };
    match changed.map_err(Error::from) {
        Ok(()) => Ok(redirect_with(&app, "/account/", "flash-saved")),
        Err(error) => profile_page(&app, &reader, Refused::Picture(form_errors(&reader.view, error)?)).await,
    }
}

pub(crate) async fn profile(State(app): State<App>, reader: Reader) -> Result<Response> {
    profile_page(&app, &reader, Refused::Nothing).await
}

pub(crate) async fn change_profile(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let text = |name: &str| form.find(name).map(|text| text.trim().to_owned());
    let patch = AccountPatch {
        display_name: text("display_name"),
        first_name: text("first_name"),
        last_name: text("last_name"),
    };
    match app.accounts.accounts.change_me(&reader.caller, patch, IfMatch::default()).await {
        Ok(_) => Ok(redirect_with(&app, "/account/", "flash-saved")),
        Err(error) => profile_page(&app, &reader, Refused::Names(form_errors(&reader.view, error)?, form)).await,
    }
}
