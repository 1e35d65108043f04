//! The page of the link that invites to a group.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use guildhall_kernel::{Error, Path, Result};

use crate::{
    form::Submission,
    page::{Notice, ok, redirect_with, show},
    reader::{NotSignedIn, Reader},
    view::View,
    web::App,
};

#[derive(Template)]
#[template(path = "accounts/invite.html")]
struct InvitePage<'a> {
    f: &'a View,
    is_signed_in: bool,
}

pub(crate) async fn invitation(view: View, Path(_): Path<String>, reader: Result<Reader, NotSignedIn>) -> Response {
    ok(&InvitePage { f: &view, is_signed_in: reader.is_ok() })
}

pub(crate) async fn accept(
    State(app): State<App>,
    Path(token): Path<String>,
    reader: Result<Reader, NotSignedIn>,
    _: Submission,
) -> Result<Response> {
    let reader = match reader {
        Ok(reader) => reader,
        Err(refused) => return Ok(refused.into_response()),
    };
    let view = &reader.view;
    let error = match app.community.invites.accept_invite(&reader.caller, token).await.map_err(Error::from) {
        Ok(group) => return Ok(redirect_with(&app, &format!("/groups/{}/", group.id), "flash-joined")),
        Err(error) => error,
    };
    let status = error.kind().status();
    let (title, text) = match error.code() {
        _ if status.is_server_error() => return Err(error),
        "invite_for_other" => ("invite-other-title", "invite-other-text"),
        "group_full" => ("invite-full-title", "invite-full-text"),
        "banned" => ("invite-banned-title", "invite-banned-text"),
        _ => ("invite-spent-title", "invite-spent-text"),
    };
    let link = Some(("/groups/", view.t("find-a-group")));
    Ok(show(status, &Notice { f: view, title: view.t(title), text: view.t(text), link }))
}
