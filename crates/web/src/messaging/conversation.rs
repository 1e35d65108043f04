//! A conversation: its messages, and sending one.

use std::collections::HashMap;

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use guildhall_kernel::{CursorQuery, Error, FieldErrors, Kind, Path, Person, Query, Result, UserId, Window};
use guildhall_messaging::{
    AttachmentId, Conversation, ConversationId, History, MemberState, MessageId, NewMessage, Target,
};

use serde::Deserialize;

use super::{
    inbox::{Inbox, Shown},
    naming::{conversation_name, target_url},
    rows::{People, Row, conversation_of, rows},
};
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, ok, redirect, sentence, show},
    paging::Before,
    reader::{Frame, Place, Reader},
    view::View,
    web::App,
};

/// How many messages a page shows.
const MESSAGES: u64 = 50;

/// Which part of the history to show, and what the message to be written answers.
#[derive(Clone, Copy, Default, Deserialize)]
pub(crate) struct At {
    /// Only what is older than this message.
    before: Option<i64>,
    /// What is before and after this message.
    around: Option<i64>,
    reply_to: Option<i64>,
}

impl At {
    /// Whether newer messages than those shown may exist.
    fn is_past(self) -> bool {
        self.before.is_some() || self.around.is_some()
    }

    fn draft(self) -> Draft {
        Draft { reply_to: self.reply_to, ..Draft::default() }
    }
}

/// What was entered and refused.
#[derive(Default)]
struct Draft {
    content: String,
    message_type: String,
    reply_to: Option<i64>,
}

#[derive(Template)]
#[template(path = "messaging/conversation.html")]
struct ConversationPage {
    f: Frame,
    inbox: Inbox,
    e: FormErrors,
    draft: Draft,
    base: String,
    /// `None` before the first message.
    conversation: Option<Conversation>,
    other: Option<Person>,
    name: String,
    is_group: bool,
    members: Vec<Person>,
    rows: Vec<Row>,
    has_older: bool,
    is_past: bool,
    is_muted: bool,
    is_request: bool,
    /// Why nothing can be written, if so.
    closed: Option<String>,
}

impl ConversationPage {
    /// The id of the conversation, for the script that follows it.
    fn stream(&self) -> String {
        self.conversation.as_ref().map(|found| format!("conversation/{}", found.conversation_id)).unwrap_or_default()
    }

    /// The message that the one to be written answers.
    fn reply(&self) -> Option<&Row> {
        self.draft.reply_to.and_then(|id| self.rows.iter().find(|row| row.message.id.0 == id))
    }

    /// The id of the newest message.
    fn last(&self) -> i64 {
        self.rows.last().map(|row| row.message.id.0).unwrap_or_default()
    }

    /// The id of the oldest message that is shown.
    fn first(&self) -> i64 {
        self.rows.first().map(|row| row.message.id.0).unwrap_or_default()
    }
}

/// Messages as a part of a page.
#[derive(Template)]
#[template(path = "messaging/rows.html")]
struct RowsPart {
    f: View,
    rows: Vec<Row>,
    is_group: bool,
    base: String,
    /// Whether older messages follow above.
    has_older: bool,
}

impl RowsPart {
    /// The id of the oldest message.
    fn first(&self) -> i64 {
        self.rows.first().map(|row| row.message.id.0).unwrap_or_default()
    }
}

async fn history(app: &App, reader: &Reader, target: Target, cursor: CursorQuery) -> Result<History> {
    let messages = &app.messaging.messages;
    let history = match target {
        Target::User(user) => messages.messages_with(&reader.caller, user, cursor).await,
        Target::Conversation(id) => messages.messages(&reader.caller, id, cursor).await,
    };
    history.map_err(Error::from)
}

/// The part of the history that a page shows.
async fn history_at(app: &App, reader: &Reader, target: Target, at: At) -> Result<History> {
    let cursor = at.before.map_or(CursorQuery::newest(MESSAGES), |id| CursorQuery::before(id, MESSAGES));
    let newest = history(app, reader, target, cursor).await?;
    let Some(message) = at.around.map(MessageId) else { return Ok(newest) };
    let Some(id) = conversation_of(&newest.messages) else { return Ok(newest) };
    let around = app.messaging.messages.messages_around(&reader.caller, id, message, MESSAGES).await;
    match around.map_err(Error::from) {
        Ok(around) => Ok(around),
        // The message was deleted meanwhile.
        Err(error) if error.kind() == Kind::NotFound => Ok(newest),
        Err(error) => Err(error),
    }
}

/// Who takes part: the two people, or the members of a group.
async fn people(app: &App, reader: &Reader, other: Option<&Person>, group: Option<ConversationId>) -> Result<People> {
    let mut by_id: HashMap<UserId, Person> = HashMap::new();
    if let Some(id) = group {
        let members = app.messaging.groups.members(&reader.caller, id).await.map_err(Error::from)?;
        by_id.extend(members.into_iter().filter_map(|member| member.user).map(|person| (person.id, person)));
    } else {
        let me = app.accounts.accounts.me(&reader.caller).await.map_err(Error::from)?;
        by_id.insert(reader.id(), me.user.into());
        by_id.extend(other.cloned().map(|person| (person.id, person)));
    }
    Ok(People { me: reader.id(), by_id, unread: 0, is_group: group.is_some(), quoted: Vec::new() })
}

/// Shows a conversation and marks it as read, with the errors of what could not be sent.
async fn page(
    app: &App,
    reader: &Reader,
    (target, known): (Target, Option<Conversation>),
    (shown, at): (&Shown, At),
    (e, draft): (FormErrors, Draft),
) -> Result<Response> {
    let history = history_at(app, reader, target, at).await?;
    let id = match target {
        Target::Conversation(id) => Some(id),
        Target::User(_) => conversation_of(&history.messages),
    };
    let conversation = match (known, id) {
        (None, Some(id)) => {
            Some(app.messaging.conversations.conversation(&reader.caller, id).await.map_err(Error::from)?)
        }
        (known, _) => known,
    };
    let is_group = matches!(target, Target::Conversation(_)) && history.other_user.is_none();
    let mut people = people(app, reader, history.other_user.as_ref(), id.filter(|_| is_group)).await?;
    if !at.is_past() {
        people.unread = conversation.as_ref().map_or(0, |found| found.unread_count);
    }
    let mut members: Vec<Person> = if is_group { people.by_id.values().cloned().collect() } else { Vec::new() };
    members.sort_by(|one, other| one.display_name.cmp(&other.display_name));
    let people = people.reading(app, reader, &history.messages).await?;
    let newest = history.messages.last().map(|message| message.id);
    let rows = rows(&reader.view, history.messages, &people);
    let base = target_url(target);
    let name = match (&history.other_user, &conversation) {
        (None, Some(found)) => conversation_name(&reader.view, found),
        (person, _) => reader.view.plain_name(person.as_ref()),
    };
    let closed = (history.other_user.is_none() && !is_group).then(|| reader.view.t("error-blocked"));
    let is_request = conversation.as_ref().is_some_and(|found| found.state == MemberState::Requested);
    let now = app.clock.now();
    let is_muted = conversation.as_ref().and_then(|found| found.muted_until).is_some_and(|until| until > now);
    let is_past = at.is_past();
    if let (Some(newest), false) = (newest, is_request || is_past) {
        // Whoever opens the page reads what it shows.
        let reading = &app.messaging.reading;
        reading.mark_conversation_read(&reader.caller, target, Some(newest)).await.map_err(Error::from)?;
    }
    let inbox = Inbox::load(app, reader, (shown, Before::default()), &base).await?;
    let f = reader.frame(app, Place::Messages).await?;
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let has_older = history.has_more;
    let other = history.other_user;
    Ok(show(
        status,
        &ConversationPage {
            f,
            inbox,
            e,
            draft,
            base,
            conversation,
            other,
            name,
            is_group,
            members,
            rows,
            has_older,
            is_past,
            is_muted,
            is_request,
            closed,
        },
    ))
}

pub(crate) async fn with_user(
    State(app): State<App>,
    Path(user): Path<UserId>,
    reader: Reader,
    Query(shown): Query<Shown>,
    Query(at): Query<At>,
) -> Result<Response> {
    page(&app, &reader, (Target::User(user), None), (&shown, at), (FormErrors::default(), at.draft())).await
}

/// A group, or the old address of a conversation of two people, which leads to the present one.
pub(crate) async fn of_id(
    State(app): State<App>,
    Path(id): Path<ConversationId>,
    reader: Reader,
    Query(shown): Query<Shown>,
    Query(at): Query<At>,
) -> Result<Response> {
    let conversation = app.messaging.conversations.conversation(&reader.caller, id).await.map_err(Error::from)?;
    if let Some(other) = &conversation.other_user {
        return Ok(redirect(&target_url(Target::User(other.id))));
    }
    page(
        &app,
        &reader,
        (Target::Conversation(id), Some(conversation)),
        (&shown, at),
        (FormErrors::default(), at.draft()),
    )
    .await
}

/// The messages before or after one, for scripts.
async fn part(app: &App, reader: &Reader, target: Target, cursor: CursorQuery) -> Result<Response> {
    let is_older = matches!(cursor.window(), Window::Before(_));
    let history = history(app, reader, target, cursor).await?;
    let group = match target {
        Target::Conversation(id) => Some(id).filter(|_| history.other_user.is_none()),
        Target::User(_) => None,
    };
    let people = people(app, reader, history.other_user.as_ref(), group).await?;
    let people = people.reading(app, reader, &history.messages).await?;
    let has_older = is_older && history.has_more;
    let is_group = people.is_group;
    let rows = rows(&reader.view, history.messages, &people);
    Ok(ok(&RowsPart { f: reader.view.clone(), rows, is_group, base: target_url(target), has_older }))
}

pub(crate) async fn rows_with_user(
    State(app): State<App>,
    Path(user): Path<UserId>,
    reader: Reader,
    cursor: CursorQuery,
) -> Result<Response> {
    part(&app, &reader, Target::User(user), cursor).await
}

pub(crate) async fn rows_of_id(
    State(app): State<App>,
    Path(id): Path<ConversationId>,
    reader: Reader,
    cursor: CursorQuery,
) -> Result<Response> {
    part(&app, &reader, Target::Conversation(id), cursor).await
}

/// Uploads the files of a form, and sends its message.
async fn send(app: &App, reader: &Reader, target: Target, form: Submission) -> Result<Response> {
    let draft = Draft {
        content: form.text("content").to_owned(),
        message_type: form.text("message_type").to_owned(),
        reply_to: form.number("reply_to")?,
    };
    let client_id = form.filled("client_id").map(str::to_owned);
    let is_script = form.is_checked("script");
    let uploads = form.into_uploads();
    let sent = async {
        let mut attachments: Vec<AttachmentId> = Vec::new();
        for upload in uploads {
            let attachment = app.messaging.attachments.upload(&reader.caller, upload).await.map_err(Error::from)?;
            attachments.push(attachment.id);
        }
        let new = NewMessage {
            content: draft.content.clone(),
            attachments,
            message_type: (!draft.message_type.is_empty()).then(|| draft.message_type.clone()),
            client_id,
            reply_to: draft.reply_to.map(MessageId),
            key: None,
        };
        app.messaging.messages.send(&reader.caller, target, new).await.map_err(Error::from)
    };
    let error = match sent.await {
        Ok(sent) if is_script => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            if let Ok(id) = HeaderValue::from_str(&sent.message.conversation_id.to_string()) {
                response.headers_mut().insert("x-conversation", id);
            }
            return Ok(response);
        }
        Ok(_) => return Ok(redirect(&target_url(target))),
        Err(error) if is_script => return Err(error),
        Err(error) => error,
    };
    let e = match error.kind() {
        Kind::Forbidden => {
            let text = sentence(&reader.view, error.code(), error.detail());
            FormErrors::of(FieldErrors::new(), Some(text))
        }
        _ => form_errors(&reader.view, error)?,
    };
    page(app, reader, (target, None), (&Shown::default(), At::default()), (e, draft)).await
}

pub(crate) async fn send_to_user(
    State(app): State<App>,
    Path(user): Path<UserId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    send(&app, &reader, Target::User(user), form).await
}

pub(crate) async fn send_to_conversation(
    State(app): State<App>,
    Path(id): Path<ConversationId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    send(&app, &reader, Target::Conversation(id), form).await
}
