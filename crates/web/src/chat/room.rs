//! A room: its messages for those who take part, its card for others.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_chat::{Message, MessageId, Room, RoomId};
use guildhall_kernel::{CursorQuery, Error, Kind, Path, Query, Result};
use serde::Deserialize;

use super::{
    access::Access,
    participants::People,
    rows::{Audience, Row, rows, short},
};
use crate::{
    form::FormErrors,
    page::show,
    paging::older,
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many messages a page shows.
const MESSAGES: u64 = 50;

/// Which part of the history to show, and what the message to be written answers.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct At {
    /// Only what is older than this event.
    before: Option<i64>,
    /// What is before and after this event.
    around: Option<i64>,
    pub(super) reply_to: Option<i64>,
    /// Present if the reader took part until now.
    out: Option<u8>,
}

impl At {
    /// Whether newer messages than those shown may exist.
    fn is_past(self) -> bool {
        self.before.is_some() || self.around.is_some()
    }
}

/// What was entered and refused.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) content: String,
    pub(super) reply_to: Option<i64>,
}

#[derive(Template)]
#[template(path = "chat/room.html")]
struct RoomPage {
    f: Frame,
    access: Access,
    people: People,
    e: FormErrors,
    content: String,
    /// The message that the one to be written answers: its id and first words.
    reply: Option<(i64, String)>,
    rows: Vec<Row>,
    /// The number of the event before which there are older messages.
    older: Option<i64>,
    is_past: bool,
}

impl RoomPage {
    /// The number of the newest event that is shown.
    fn last(&self) -> i64 {
        self.rows.last().map(Row::seq).unwrap_or_default()
    }

    /// Whether new messages are added to the page.
    fn is_live(&self) -> bool {
        self.access.room.is_active && !self.is_past
    }
}

/// The messages to show, oldest first, and the number of the event before which there are older ones.
async fn history(app: &App, reader: &Reader, id: RoomId, at: At) -> Result<(Vec<Message>, Option<i64>)> {
    let (service, caller) = (&app.chat.messages, &reader.caller);
    let (mut messages, older) = if let Some(seq) = at.around {
        let found = service.messages_around(caller, id, seq, MESSAGES).await.map_err(Error::from)?;
        let first = found.iter().min_by_key(|message| message.no).filter(|message| message.no > 1);
        let older = first.and_then(|message| message.seq);
        (found, older)
    } else {
        let query = at.before.map_or(CursorQuery::newest(MESSAGES), |seq| CursorQuery::before(seq, MESSAGES));
        let page = service.messages(caller, id, query).await.map_err(Error::from)?;
        let older = older(page.next.as_deref());
        (page.results, older)
    };
    messages.sort_by_key(|message| message.no);
    Ok((messages, older))
}

/// The message that the one to be written answers, if it still exists.
async fn reply(app: &App, reader: &Reader, room: RoomId, id: Option<i64>) -> Result<Option<(i64, String)>> {
    let Some(id) = id else { return Ok(None) };
    match app.chat.messages.message(&reader.caller, room, MessageId(id)).await.map_err(Error::from) {
        Ok(message) => Ok(Some((id, short(&message)))),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Shows a room to somebody who takes part, and marks it as read, with the errors of what could not be sent.
pub(super) async fn room_page(
    app: &App,
    reader: &Reader,
    access: Access,
    at: At,
    (e, draft): (FormErrors, Draft),
) -> Result<Response> {
    let id = access.room.id;
    let (messages, older) = history(app, reader, id, at).await?;
    let newest = messages.last().and_then(|message| message.seq);
    let is_past = at.is_past();
    let mut audience = Audience::load(app, reader, &access.room, &messages).await?;
    if !is_past {
        audience.unread = access.room.unread_count.unwrap_or_default();
        // Whoever opens the page reads what it shows.
        app.chat.reading.mark_read(&reader.caller, id, newest).await.map_err(Error::from)?;
    }
    let rows = rows(&reader.view, messages, &audience);
    let reply = reply(app, reader, id, draft.reply_to).await?;
    let people = People::load(app, reader, &access).await?;
    let f = reader.frame(app, Place::Rooms).await?;
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let content = draft.content;
    Ok(show(status, &RoomPage { f, access, people, e, content, reply, rows, older, is_past }))
}

#[derive(Template)]
#[template(path = "chat/card.html")]
struct CardPage {
    f: Frame,
    access: Access,
    e: FormErrors,
    /// Whether the reader took part until now.
    is_out: bool,
    /// Whether the last request of the reader was refused.
    is_denied: bool,
    /// How long the reader has to wait until they may ask again.
    wait: Option<String>,
}

/// Whether the last request of the reader was refused, and how long they have to wait until they may ask again.
async fn denied(app: &App, reader: &Reader, room: &Room) -> Result<(bool, Option<String>)> {
    if !room.is_active {
        return Ok((false, None));
    }
    let own = app.chat.requests.own_request(&reader.caller, room.id).await.map_err(Error::from)?;
    let Some(until) = own.and_then(|own| own.may_ask_again_at) else { return Ok((false, None)) };
    let seconds = until.since(app.clock.now()).as_millis().div_ceil(1000);
    let wait = (seconds > 0).then(|| reader.view.wait(u64::try_from(seconds).unwrap_or(u64::MAX)));
    Ok((true, wait))
}

/// Shows the card of a room to somebody who does not take part, with the reason why they cannot join.
pub(super) async fn card_page(
    app: &App,
    reader: &Reader,
    access: Access,
    (e, is_out): (FormErrors, bool),
) -> Result<Response> {
    let f = reader.frame(app, Place::Rooms).await?;
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let (is_denied, wait) = denied(app, reader, &access.room).await?;
    Ok(show(status, &CardPage { f, access, e, is_out, is_denied, wait }))
}

pub(crate) async fn room(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    Query(at): Query<At>,
) -> Result<Response> {
    let access = Access::find(&app, &reader, id).await?;
    if !access.room.is_participant {
        return card_page(&app, &reader, access, (FormErrors::default(), at.out.is_some())).await;
    }
    let draft = Draft { reply_to: at.reply_to, ..Draft::default() };
    room_page(&app, &reader, access, at, (FormErrors::default(), draft)).await
}
