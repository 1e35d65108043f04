//! A message by itself: answering, reacting, pinning, editing, deleting.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_chat::{MessageId, MessagePatch, Revision, RoomId};
use guildhall_kernel::{Error, IfMatch, Path, Result};

use super::{
    access::{Access, base, done, refusal},
    rows::{Audience, Row, rows},
};
use crate::{
    form::{FormErrors, Submission},
    page::{ok, redirect, show},
    reader::{Frame, Place, Reader},
    view::View,
    web::App,
};

#[derive(Template)]
#[template(path = "chat/message.html")]
struct MessagePage {
    f: Frame,
    e: FormErrors,
    access: Access,
    row: Row,
    content: String,
    revisions: Vec<Revision>,
}

/// A message as a part of its room.
#[derive(Template)]
#[template(
    source = "{% import \"parts/rooms.html\" as parts %}{% call parts::row(f, row) %}{% endcall %}",
    ext = "html"
)]
struct RowPart {
    f: View,
    row: Row,
}

/// The room, and the message as a row of it.
async fn find(app: &App, reader: &Reader, (id, message): (RoomId, MessageId)) -> Result<(Access, Row)> {
    let found = app.chat.messages.message(&reader.caller, id, message).await.map_err(Error::from)?;
    let access = Access::find(app, reader, id).await?;
    let found = vec![found];
    let audience = Audience::load(app, reader, &access.room, &found).await?;
    let mut rows = rows(&reader.view, found, &audience);
    let mut row = rows.pop().ok_or_else(|| Error::internal("a message was lost"))?;
    row.day = None;
    Ok((access, row))
}

async fn message_page(
    app: &App,
    reader: &Reader,
    ids: (RoomId, MessageId),
    refused: Option<(FormErrors, String)>,
) -> Result<Response> {
    let (access, row) = find(app, reader, ids).await?;
    let revisions = if row.message.edited_at.is_some() && !row.message.is_deleted {
        app.chat.changes.revisions(&reader.caller, ids.0, ids.1).await.map_err(Error::from)?
    } else {
        Vec::new()
    };
    let f = reader.frame(app, Place::Rooms).await?;
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (e, content) = refused.unwrap_or_else(|| (FormErrors::default(), row.message.content.clone()));
    Ok(show(status, &MessagePage { f, e, access, row, content, revisions }))
}

/// The page of a message; only its row if a script asks for that.
pub(crate) async fn message(
    State(app): State<App>,
    Path(ids): Path<(RoomId, MessageId)>,
    reader: Reader,
) -> Result<Response> {
    if reader.view.is_partial() {
        let (_, row) = find(&app, &reader, ids).await?;
        return Ok(ok(&RowPart { f: reader.view, row }));
    }
    message_page(&app, &reader, ids, None).await
}

/// The address of a message in its room.
fn in_room((id, message): (RoomId, MessageId)) -> String {
    format!("{}#msg-{message}", base(id))
}

pub(crate) async fn edit(
    State(app): State<App>,
    Path(ids): Path<(RoomId, MessageId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let content = form.text("content").to_owned();
    let patch = MessagePatch { content: content.clone() };
    match app.chat.changes.edit(&reader.caller, ids.0, ids.1, patch, IfMatch::default()).await {
        Ok(_) => Ok(redirect(&in_room(ids))),
        Err(error) => {
            let e = refusal(&reader.view, error)?;
            message_page(&app, &reader, ids, Some((e, content))).await
        }
    }
}

pub(crate) async fn delete(
    State(app): State<App>,
    Path(ids): Path<(RoomId, MessageId)>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.chat.changes.delete(&reader.caller, ids.0, ids.1).await.map_err(Error::from)?;
    Ok(redirect(&in_room(ids)))
}

/// Adds a reaction, or takes it back.
pub(crate) async fn react(
    State(app): State<App>,
    Path(ids): Path<(RoomId, MessageId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let emoji = form.text("reaction").to_owned();
    let found = app.chat.messages.message(&reader.caller, ids.0, ids.1).await.map_err(Error::from)?;
    let reactions = &app.chat.reactions;
    let outcome = if found.my_reactions.is_some_and(|mine| mine.contains(&emoji)) {
        reactions.unreact(&reader.caller, ids.0, ids.1, emoji).await
    } else {
        reactions.react(&reader.caller, ids.0, ids.1, emoji).await
    };
    outcome.map_err(Error::from)?;
    Ok(done(&app, &form, &in_room(ids), "flash-saved"))
}

/// Pins a message, or unpins it.
pub(crate) async fn pin(
    State(app): State<App>,
    Path(ids): Path<(RoomId, MessageId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let pins = &app.chat.pins;
    let outcome = if form.is_checked("unpin") {
        pins.unpin(&reader.caller, ids.0, ids.1).await
    } else {
        pins.pin(&reader.caller, ids.0, ids.1).await
    };
    match outcome {
        Ok(()) => Ok(redirect(&in_room(ids))),
        Err(error) => {
            let e = refusal(&reader.view, error)?;
            let content = find(&app, &reader, ids).await?.1.message.content;
            message_page(&app, &reader, ids, Some((e, content))).await
        }
    }
}
