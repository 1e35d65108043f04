//! The list of rooms, and opening one.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_chat::{Room, RoomFilter};
use guildhall_kernel::{Error, Kind, PageQuery, Query, Result};
use serde::Deserialize;

use super::{
    access::{base, refusal},
    settings::RoomForm,
};
use crate::{
    form::{FormErrors, Submission},
    page::{ok, redirect, show},
    paging::{PageNumber, Pager},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many closed rooms are listed beside the open ones.
const CLOSED: u64 = 5;
/// How many of the reader's rooms are looked through for those that are not listed.
const OWN: u64 = 50;

/// Which rooms to show.
#[derive(Deserialize)]
pub(crate) struct Which {
    /// `closed` for only the closed ones.
    #[serde(default)]
    show: String,
}

#[derive(Template)]
#[template(path = "chat/rooms.html")]
struct RoomsPage {
    f: Frame,
    /// The open rooms, unless only the closed ones are shown.
    open: Option<Vec<Room>>,
    closed: Vec<Room>,
    has_more_closed: bool,
    pager: Pager,
    may_open: bool,
}

/// Whether the reader may open rooms.
fn may_open(reader: &Reader) -> bool {
    reader.caller.roles.teacher || reader.caller.roles.superuser
}

async fn list(app: &App, reader: &Reader, filter: RoomFilter, page: PageQuery) -> Result<guildhall_kernel::Page<Room>> {
    app.chat.rooms.rooms(&reader.caller, filter, page).await.map_err(Error::from)
}

pub(crate) async fn rooms(
    State(app): State<App>,
    reader: Reader,
    Query(which): Query<Which>,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let f = reader.frame(&app, Place::Rooms).await?;
    let may_open = may_open(&reader);
    let closed = RoomFilter { closed: true, ..RoomFilter::default() };
    if which.show == "closed" {
        let page = list(&app, &reader, closed, number.query()).await?;
        let pager = Pager::new(&page, number, "/rooms/", &[("show", "closed")]);
        let closed = page.results;
        return Ok(ok(&RoomsPage { f, open: None, closed, has_more_closed: false, pager, may_open }));
    }
    let page = list(&app, &reader, RoomFilter::default(), number.query()).await?;
    let pager = Pager::new(&page, number, "/rooms/", &[]);
    let mut open = Vec::new();
    if number.number() == 1 {
        let own = RoomFilter { joined: true, ..RoomFilter::default() };
        open = list(&app, &reader, own, PageQuery::new(1, OWN)).await?.results;
        open.retain(|room| !room.is_listed);
    }
    open.extend(page.results);
    let closed = list(&app, &reader, closed, PageQuery::new(1, CLOSED)).await?;
    let has_more_closed = closed.next.is_some();
    Ok(ok(&RoomsPage { f, open: Some(open), closed: closed.results, has_more_closed, pager, may_open }))
}

#[derive(Template)]
#[template(path = "chat/new.html")]
struct NewRoomPage {
    f: Frame,
    e: FormErrors,
    form: RoomForm,
}

async fn new_room_page(app: &App, reader: &Reader, e: FormErrors, form: RoomForm) -> Result<Response> {
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let f = reader.frame(app, Place::Rooms).await?;
    Ok(show(status, &NewRoomPage { f, e, form }))
}

pub(crate) async fn new_room_form(State(app): State<App>, reader: Reader) -> Result<Response> {
    if !may_open(&reader) {
        return Err(Error::new(Kind::Forbidden, "not_a_teacher", "Only teachers can open rooms."));
    }
    new_room_page(&app, &reader, FormErrors::default(), RoomForm::default()).await
}

pub(crate) async fn open_room(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let entered = RoomForm::entered(&form);
    let opened = async {
        let new = entered.new_room()?;
        app.chat.rooms.open_room(&reader.caller, new).await.map_err(Error::from)
    };
    match opened.await {
        Ok(room) => Ok(redirect(&base(room.id))),
        Err(error) => {
            let e = refusal(&reader.view, error)?;
            new_room_page(&app, &reader, e, entered).await
        }
    }
}
