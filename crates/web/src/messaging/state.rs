//! What only the reader sees of a conversation, and their preferences.

use std::time::Duration;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use guildhall_kernel::{Error, Kind, Path, Result, Timestamp};
use guildhall_messaging::{ConversationId, ConversationState, MessageId, PreferencesPatch, Target};

use crate::{
    form::Submission,
    page::{back_with, redirect, redirect_with},
    reader::Reader,
    web::App,
};

/// How long a muted conversation stays silent: until it is unmuted.
const MUTED: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The change that a button asks for.
fn change(action: &str, now: Timestamp) -> Option<ConversationState> {
    let change = ConversationState::default();
    Some(match action {
        "mute" => ConversationState { muted_until: Some(Some(now + MUTED)), ..change },
        "unmute" => ConversationState { muted_until: Some(None), ..change },
        "unread" => ConversationState { is_marked_unread: Some(true), ..change },
        "pin" => ConversationState { is_pinned: Some(true), ..change },
        "unpin" => ConversationState { is_pinned: Some(false), ..change },
        "archive" => ConversationState { is_archived: Some(true), ..change },
        "unarchive" => ConversationState { is_archived: Some(false), ..change },
        _ => return None,
    })
}

pub(crate) async fn change_state(
    State(app): State<App>,
    Path(id): Path<ConversationId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let change = change(form.text("action"), app.clock.now());
    let change = change.ok_or_else(|| Error::new(Kind::NotFound, "not_found", "Not found."))?;
    app.messaging.conversations.change_state(&reader.caller, id, change).await.map_err(Error::from)?;
    Ok(redirect_with(&app, "/messaging/", "flash-saved"))
}

/// Marks a conversation as read up to a message, for scripts.
pub(crate) async fn mark_read(
    State(app): State<App>,
    Path(id): Path<ConversationId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let up_to = form.number::<i64>("up_to")?.map(MessageId);
    let target = Target::Conversation(id);
    app.messaging.reading.mark_conversation_read(&reader.caller, target, up_to).await.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(crate) async fn accept(
    State(app): State<App>,
    Path(id): Path<ConversationId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.messaging.requests.accept(&reader.caller, id).await.map_err(Error::from)?;
    Ok(redirect(&format!("/messaging/{id}/")))
}

pub(crate) async fn decline(
    State(app): State<App>,
    Path(id): Path<ConversationId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.messaging.requests.decline(&reader.caller, id).await.map_err(Error::from)?;
    Ok(redirect_with(&app, "/messaging/", "flash-declined"))
}

pub(crate) async fn change_preferences(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let patch = PreferencesPatch {
        accepts_requests_only: Some(form.is_checked("accepts_requests_only")),
        sends_receipts: Some(form.is_checked("sends_receipts")),
        is_discoverable: Some(form.is_checked("is_discoverable")),
    };
    app.messaging.preferences.change_preferences(&reader.caller, patch).await.map_err(Error::from)?;
    Ok(back_with(&app, form.next(), "/account/", "flash-saved"))
}
