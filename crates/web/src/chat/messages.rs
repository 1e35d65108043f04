//! Sending messages, and the messages that are added to an open page.

use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use guildhall_chat::{MessageId, NewFile, NewMessage, RoomId};
use guildhall_kernel::{CursorQuery, Error, Kind, Path, Result, Window};

use super::{
    access::{Access, base, refusal},
    room::{At, Draft, room_page},
    rows::{Audience, Row, rows},
};
use crate::{
    form::Submission,
    page::{ok, redirect},
    paging::older,
    reader::Reader,
    view::View,
    web::App,
};

/// Messages as a part of a page.
#[derive(Template)]
#[template(path = "chat/rows.html")]
struct RowsPart {
    f: View,
    rows: Vec<Row>,
    base: String,
    /// The number of the event before which there are older messages, if those follow above.
    older: Option<i64>,
}

/// The messages before or after one, for scripts.
pub(crate) async fn rows_part(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    cursor: CursorQuery,
) -> Result<Response> {
    let (caller, service) = (&reader.caller, &app.chat.messages);
    let access = Access::find(&app, &reader, id).await?;
    let window = cursor.window();
    let page = service.messages(caller, id, cursor).await.map_err(Error::from)?;
    let older = older(page.next.as_deref()).filter(|_| !matches!(window, Window::After(_)));
    let mut messages = page.results;
    let mut known = 0;
    if let Window::After(seq) = window {
        // The one before, so that a message continues its group and its day.
        let query = CursorQuery::before(seq.saturating_add(1), 1);
        let before = service.messages(caller, id, query).await.map_err(Error::from)?.results;
        known = before.len();
        messages.extend(before);
    }
    messages.sort_by_key(|message| message.no);
    let audience = Audience::load(&app, &reader, &access.room, &messages).await?;
    let mut rows = rows(&reader.view, messages, &audience);
    rows.drain(..known);
    Ok(ok(&RowsPart { f: reader.view, rows, base: access.base(), older }))
}

/// Sends the message or the file of a form.
pub(crate) async fn send(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let draft = Draft { content: form.text("content").to_owned(), reply_to: form.number("reply_to")? };
    let is_script = form.is_checked("script");
    let message = NewMessage {
        content: draft.content.clone(),
        client_id: form.filled("client_id").map(str::to_owned),
        reply_to: draft.reply_to.map(MessageId),
        key: None,
    };
    let service = &app.chat.messages;
    let sent = match form.into_uploads().into_iter().next() {
        Some(upload) => {
            let file = NewFile { name: upload.name, content_type: upload.content_type, bytes: upload.bytes, message };
            service.send_file(&reader.caller, id, file).await
        }
        None => service.send(&reader.caller, id, message).await,
    };
    match sent {
        Ok(_) if is_script => Ok(StatusCode::NO_CONTENT.into_response()),
        Ok(_) => Ok(redirect(&base(id))),
        Err(error) => {
            let error = Error::from(error);
            if is_script {
                return Err(error);
            }
            let e = refusal(&reader.view, error)?;
            let access = Access::find(&app, &reader, id).await?;
            if !access.room.is_participant {
                return Err(Error::new(Kind::Forbidden, "not_participant", "Only participants can do this."));
            }
            room_page(&app, &reader, access, At::default(), (e, draft)).await
        }
    }
}

/// Marks a room as read up to an event, for scripts.
pub(crate) async fn mark_read(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let up_to = form.number::<i64>("up_to")?;
    app.chat.reading.mark_read(&reader.caller, id, up_to).await.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Leads to the file of a message, whose address is valid for an hour.
pub(crate) async fn file(
    State(app): State<App>,
    Path((id, message)): Path<(RoomId, MessageId)>,
    reader: Reader,
) -> Result<Response> {
    let message = app.chat.messages.message(&reader.caller, id, message).await.map_err(Error::from)?;
    let file = message.file.ok_or_else(|| Error::new(Kind::NotFound, "not_found", "The message has no file."))?;
    Ok(redirect(&file.url))
}
