//! A message by itself: answering, reacting, editing, deleting.

use std::collections::HashMap;

use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use guildhall_kernel::{Error, IfMatch, Path, Result};
use guildhall_messaging::{ConversationId, DeleteFor, MessageId, MessagePatch, Revision};

use super::{
    naming::conversation_url,
    rows::{People, Row, rows},
};
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, ok, redirect, show},
    reader::{Frame, Place, Reader},
    view::View,
    web::App,
};

#[derive(Template)]
#[template(path = "messaging/message.html")]
struct MessagePage {
    f: Frame,
    e: FormErrors,
    row: Row,
    is_group: bool,
    base: String,
    content: String,
    revisions: Vec<Revision>,
}

/// A message as a part of its conversation.
#[derive(Template)]
#[template(
    source = "{% import \"parts/messages.html\" as messages %}{% call messages::row(f, row, is_group) %}{% endcall %}",
    ext = "html"
)]
struct RowPart {
    f: View,
    row: Row,
    is_group: bool,
}

/// The address of the conversation, and the message as a row of it.
async fn find(app: &App, reader: &Reader, (id, message): (ConversationId, MessageId)) -> Result<(String, Row, bool)> {
    let found = app.messaging.messages.message(&reader.caller, id, message).await.map_err(Error::from)?;
    let conversation = app.messaging.conversations.conversation(&reader.caller, id).await.map_err(Error::from)?;
    let members = app.messaging.groups.members(&reader.caller, id).await.map_err(Error::from)?;
    let by_id: HashMap<_, _> =
        members.into_iter().filter_map(|member| member.user).map(|person| (person.id, person)).collect();
    let base = conversation_url(&conversation);
    let is_group = conversation.other_user.is_none();
    let found = vec![found];
    let people = People { me: reader.id(), by_id, unread: 0, is_group, quoted: Vec::new() };
    let people = people.reading(app, reader, &found).await?;
    let mut rows = rows(&reader.view, found, &people);
    let mut row = rows.pop().ok_or_else(|| Error::internal("a message was lost"))?;
    row.day = None;
    Ok((base, row, is_group))
}

async fn message_page(
    app: &App,
    reader: &Reader,
    ids: (ConversationId, MessageId),
    refused: Option<(FormErrors, String)>,
) -> Result<Response> {
    let (base, row, is_group) = find(app, reader, ids).await?;
    let revisions = if row.message.edited_at.is_some() && !row.message.is_deleted {
        app.messaging.changes.revisions(&reader.caller, ids.0, ids.1).await.map_err(Error::from)?
    } else {
        Vec::new()
    };
    let f = reader.frame(app, Place::Messages).await?;
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (e, content) = refused.unwrap_or_else(|| (FormErrors::default(), row.message.content.clone()));
    Ok(show(status, &MessagePage { f, e, row, is_group, base, content, revisions }))
}

/// The page of a message; only its row if a script asks for that.
pub(crate) async fn message(
    State(app): State<App>,
    Path(ids): Path<(ConversationId, MessageId)>,
    reader: Reader,
) -> Result<Response> {
    if reader.view.is_partial() {
        let (_, row, is_group) = find(&app, &reader, ids).await?;
        return Ok(ok(&RowPart { f: reader.view, row, is_group }));
    }
    message_page(&app, &reader, ids, None).await
}

/// Leads back to the message in its conversation.
async fn back_to(app: &App, reader: &Reader, (id, message): (ConversationId, MessageId)) -> Result<Response> {
    let conversation = app.messaging.conversations.conversation(&reader.caller, id).await.map_err(Error::from)?;
    Ok(redirect(&format!("{}#msg-{message}", conversation_url(&conversation))))
}

pub(crate) async fn edit(
    State(app): State<App>,
    Path(ids): Path<(ConversationId, MessageId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let patch = MessagePatch { content: form.text("content").to_owned() };
    match app.messaging.changes.edit(&reader.caller, ids.0, ids.1, patch, IfMatch::default()).await {
        Ok(_) => back_to(&app, &reader, ids).await,
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            message_page(&app, &reader, ids, Some((e, form.text("content").to_owned()))).await
        }
    }
}

pub(crate) async fn delete(
    State(app): State<App>,
    Path(ids): Path<(ConversationId, MessageId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let whom = form.choice::<DeleteFor>("for")?.unwrap_or_default();
    app.messaging.changes.delete(&reader.caller, ids.0, ids.1, whom).await.map_err(Error::from)?;
    back_to(&app, &reader, ids).await
}

/// Adds a reaction, or takes it back.
pub(crate) async fn react(
    State(app): State<App>,
    Path(ids): Path<(ConversationId, MessageId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let emoji = form.text("reaction").to_owned();
    let found = app.messaging.messages.message(&reader.caller, ids.0, ids.1).await.map_err(Error::from)?;
    let reactions = &app.messaging.reactions;
    if found.my_reactions.is_some_and(|mine| mine.contains(&emoji)) {
        reactions.unreact(&reader.caller, ids.0, ids.1, emoji).await.map_err(Error::from)?;
    } else {
        reactions.react(&reader.caller, ids.0, ids.1, emoji).await.map_err(Error::from)?;
    }
    if form.is_checked("script") {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    back_to(&app, &reader, ids).await
}
