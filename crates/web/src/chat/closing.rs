//! Closing a room, handing it over, and leaving it.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_chat::{Leave, Participant, Role, RoomId};
use guildhall_kernel::{Error, Kind, PageQuery, Path, Result, UserId};

use super::access::{Access, base};
use crate::{
    form::Submission,
    page::{ok, redirect_with},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many participants one can hand a room over to.
const SUCCESSORS: u64 = 100;

#[derive(Template)]
#[template(path = "chat/close.html")]
struct ClosePage {
    f: Frame,
    access: Access,
    /// Who can become the host: co-hosts first.
    successors: Vec<Participant>,
}

/// Asks before a room is closed, because it cannot be opened again.
pub(crate) async fn closing(State(app): State<App>, Path(id): Path<RoomId>, reader: Reader) -> Result<Response> {
    let access = Access::find(&app, &reader, id).await?;
    if !access.is_host {
        return Err(Error::new(Kind::Forbidden, "not_host", "Only the host of the room can do this."));
    }
    let page = PageQuery::new(1, SUCCESSORS);
    let page = app.chat.participants.participants(&reader.caller, id, page).await.map_err(Error::from)?;
    let mut successors = page.results;
    successors.retain(|participant| participant.role != Role::Host && participant.user.is_some());
    successors.sort_by_key(|participant| participant.role == Role::Member);
    let f = reader.frame(&app, Place::Rooms).await?;
    Ok(ok(&ClosePage { f, access, successors }))
}

pub(crate) async fn close(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.chat.rooms.close_room(&reader.caller, id).await.map_err(Error::from)?;
    Ok(redirect_with(&app, &base(id), "flash-room-closed"))
}

/// Leaves a room. A host can name who hosts it from then on.
pub(crate) async fn leave(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let how = Leave { new_host_id: form.number::<i64>("new_host_id")?.map(UserId) };
    app.chat.participants.leave(&reader.caller, id, how).await.map_err(Error::from)?;
    Ok(redirect_with(&app, "/rooms/", "flash-left"))
}
