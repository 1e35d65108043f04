//! Sending and reading messages.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use guildhall_kernel::{
    Caller, CursorQuery, Error, Json, Kind, Path, Person, Query, Result, Tagged, Timestamp, UserId, routes,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::{AttachmentId, ConversationId, MessageId},
    model::{History, Message, NewMessage, Sent, Target},
    service::Messages,
    state::MessagingState,
};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A message to a user.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewDirectMessage {
    /// The receiver's id.
    #[serde(alias = "recipient_id")]
    receiver_id: UserId,
    /// The text: 1 to 10,000 characters, or none if there are attachments.
    #[serde(default)]
    content: String,
    /// Files that the caller has uploaded in the last day and not sent yet: up to 10.
    #[serde(default)]
    attachments: Vec<AttachmentId>,
    /// The name of its type: `text` by default.
    message_type: Option<String>,
    /// An id of the client's choice, up to 64 letters, digits, `_` and `-`. The same id again returns the first
    /// message.
    client_id: Option<String>,
    /// The message of the same conversation that it replies to.
    reply_to: Option<MessageId>,
}

/// A message.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageAnswer)]
pub(super) struct MessageBody {
    /// `true`.
    pub(super) success: bool,
    /// The message.
    pub(super) message: Message,
    /// Present if the message had been sent before, with the same `client_id`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) duplicate: bool,
}

/// A part of the messages of a conversation.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryAnswer)]
struct HistoryBody {
    /// `true`.
    success: bool,
    /// Oldest first.
    messages: Vec<Message>,
    /// The other person; `null` in a group, or once their account is deleted.
    other_user: Option<Person>,
    /// Whether there are more messages in the direction of the request: older ones, or with `after` newer ones.
    has_more: bool,
}

/// A message in the middle of the answer.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Around {
    /// The messages before and after this one.
    around: Option<MessageId>,
    /// Number of results: 50 by default, at most 100.
    limit: Option<u64>,
}

/// The default number of messages around one of them.
const AROUND: u64 = 50;

pub(super) fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new()
        .routes(routes!(send_message))
        .routes(routes!(messages_with))
        .routes(routes!(conversation_messages, send_to_conversation))
        .routes(routes!(conversation_message))
}

impl From<History> for HistoryBody {
    fn from(history: History) -> Self {
        let History { messages, other_user, has_more } = history;
        Self { success: true, messages, other_user, has_more }
    }
}

/// The version of a message, for `ETag`.
pub(super) fn version(message: &Message) -> Timestamp {
    message.edited_at.unwrap_or(message.timestamp)
}

/// Sends a message; an `Idempotency-Key` serves as its `client_id`.
async fn send(
    messages: &dyn Messages,
    caller: &Caller,
    to: Target,
    mut new: NewMessage,
    headers: &HeaderMap,
) -> Result<Response> {
    let key = headers.get("idempotency-key").map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
    let by_key = key.is_some() && new.client_id.is_none();
    new.key = key;
    let sent = messages.send(caller, to, new).await.map_err(|error| match error {
        crate::Error::IdempotencyMismatch if by_key => {
            let detail = "This Idempotency-Key was already used for another message.";
            Error::new(Kind::Unprocessable, "idempotency_key_reused", detail)
        }
        error => error.into(),
    })?;
    let Sent { message, duplicate } = sent;
    // The same request with the same key gets the first answer again.
    let status = if duplicate && !by_key { StatusCode::OK } else { StatusCode::CREATED };
    let body = MessageBody { success: true, message, duplicate: duplicate && !by_key };
    let mut response = (status, Json(body)).into_response();
    if duplicate && by_key {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Send a message to a user.
///
/// The same `client_id` again returns the first message; with another content or receiver it is a conflict. An
/// `Idempotency-Key` header serves as the `client_id` if there is none.
#[utoipa::path(post, path = "/send/", tag = "messaging", request_body = NewDirectMessage,
    responses(
        (status = 201, body = MessageBody, description = "The message was sent"),
        (status = 200, body = MessageBody, description = "The message had been sent before"),
    ),
)]
async fn send_message(
    State(messages): State<Arc<dyn Messages>>,
    caller: Caller,
    headers: HeaderMap,
    Json(body): Json<NewDirectMessage>,
) -> Result<Response> {
    let NewDirectMessage { receiver_id, content, attachments, message_type, client_id, reply_to } = body;
    let new = NewMessage { content, attachments, message_type, client_id, reply_to, key: None };
    send(&*messages, &caller, Target::User(receiver_id), new, &headers).await
}

/// Send a message to a conversation that the caller takes part in.
#[utoipa::path(post, path = "/conversations/{id}/messages/", tag = "messaging", request_body = NewMessage,
    responses(
        (status = 201, body = MessageBody, description = "The message was sent"),
        (status = 200, body = MessageBody, description = "The message had been sent before"),
    ),
)]
async fn send_to_conversation(
    State(messages): State<Arc<dyn Messages>>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    headers: HeaderMap,
    Json(body): Json<NewMessage>,
) -> Result<Response> {
    send(&*messages, &caller, Target::Conversation(id), body, &headers).await
}

/// List the messages that the caller and another user have exchanged. Reading them does not mark them as read.
#[utoipa::path(get, path = "/messages/{user_id}/", tag = "messaging", responses((status = 200, body = HistoryBody)))]
async fn messages_with(
    State(messages): State<Arc<dyn Messages>>,
    caller: Caller,
    Path(user): Path<UserId>,
    cursor: CursorQuery,
) -> Result<Json<HistoryBody>> {
    Ok(Json(messages.messages_with(&caller, user, cursor).await?.into()))
}

/// List the messages of a conversation.
#[utoipa::path(get, path = "/conversations/{id}/messages/", tag = "messaging",
    responses((status = 200, body = HistoryBody)),
)]
async fn conversation_messages(
    State(messages): State<Arc<dyn Messages>>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Query(around): Query<Around>,
    cursor: CursorQuery,
) -> Result<Json<HistoryBody>> {
    let history = match around.around {
        Some(message) => messages.messages_around(&caller, id, message, around.limit.unwrap_or(AROUND)).await?,
        None => messages.messages(&caller, id, cursor).await?,
    };
    Ok(Json(history.into()))
}

/// Get a message.
#[utoipa::path(get, path = "/conversations/{id}/messages/{message_id}/", tag = "messaging",
    responses((status = 200, body = MessageBody)),
)]
async fn conversation_message(
    State(messages): State<Arc<dyn Messages>>,
    caller: Caller,
    Path((id, message_id)): Path<(ConversationId, MessageId)>,
) -> Result<Tagged<MessageBody>> {
    let message = messages.message(&caller, id, message_id).await?;
    Ok(Tagged(version(&message).into(), MessageBody { success: true, message, duplicate: false }))
}
