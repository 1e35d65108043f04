//! Asking to join a room, waiting, and deciding on requests.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_chat::{JoinRequest, RequestId, RequestRef, RequestStatus, RoomId};
use guildhall_kernel::{Error, Kind, Path, Query, Result};

use super::{
    access::{Access, base, done, refusal},
    room::card_page,
};
use crate::{
    form::Submission,
    page::{ok, redirect, redirect_with},
    paging::{PageNumber, Pager},
    reader::{Frame, Place, Reader},
    web::App,
};

/// Asks to join. Whoever waits already goes on waiting.
pub(crate) async fn join(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    let error = match app.chat.requests.join(&reader.caller, id).await.map_err(Error::from) {
        Ok(joined) if joined.request.status == RequestStatus::Approved => return Ok(redirect(&base(id))),
        Ok(_) => return Ok(redirect(&format!("{}waiting/", base(id)))),
        Err(error) if error.code() == "already_participant" => return Ok(redirect(&base(id))),
        Err(error) => error,
    };
    let e = refusal(&reader.view, error)?;
    let access = Access::find(&app, &reader, id).await?;
    card_page(&app, &reader, access, (e, false)).await
}

#[derive(Template)]
#[template(path = "chat/waiting.html")]
struct WaitingPage {
    f: Frame,
    access: Access,
}

/// The page of somebody who waits, which leads to the room once their request was decided: into it, or to its card,
/// which says that they were refused.
pub(crate) async fn waiting(State(app): State<App>, Path(id): Path<RoomId>, reader: Reader) -> Result<Response> {
    let access = Access::find(&app, &reader, id).await?;
    let own = app.chat.requests.own_request(&reader.caller, id).await.map_err(Error::from)?;
    let waits = own.is_some_and(|own| own.request.status == RequestStatus::Pending);
    if access.room.is_participant || !waits {
        return Ok(redirect(&access.base()));
    }
    let f = reader.frame(&app, Place::Rooms).await?;
    Ok(ok(&WaitingPage { f, access }))
}

pub(crate) async fn withdraw(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    match app.chat.requests.withdraw(&reader.caller, id).await.map_err(Error::from) {
        // It was decided meanwhile.
        Err(error) if error.kind() == Kind::NotFound => Ok(redirect("/rooms/")),
        Err(error) => Err(error),
        Ok(()) => Ok(redirect_with(&app, "/rooms/", "flash-withdrawn")),
    }
}

#[derive(Template)]
#[template(path = "chat/requests.html")]
struct RequestsPage {
    f: Frame,
    access: Access,
    requests: Vec<JoinRequest>,
    pager: Pager,
}

pub(crate) async fn requests(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let access = Access::find(&app, &reader, id).await?;
    let page = app.chat.requests.requests(&reader.caller, id, number.query()).await.map_err(Error::from)?;
    let pager = Pager::new(&page, number, &format!("{}requests/", access.base()), &[]);
    let f = reader.frame(&app, Place::Rooms).await?;
    Ok(ok(&RequestsPage { f, access, requests: page.results, pager }))
}

/// The request with this id.
fn of(request: RequestId) -> RequestRef {
    RequestRef { request_id: Some(request), user_id: None }
}

pub(crate) async fn approve(
    State(app): State<App>,
    Path((id, request)): Path<(RoomId, RequestId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    app.chat.requests.approve(&reader.caller, id, of(request)).await.map_err(Error::from)?;
    Ok(done(&app, &form, &format!("{}requests/", base(id)), "flash-approved"))
}

pub(crate) async fn deny(
    State(app): State<App>,
    Path((id, request)): Path<(RoomId, RequestId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    app.chat.requests.deny(&reader.caller, id, of(request)).await.map_err(Error::from)?;
    Ok(done(&app, &form, &format!("{}requests/", base(id)), "flash-denied"))
}
