//! Sending and reading messages.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequest, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use guildhall_files::{Files, Form, Upload};
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, Error, Json, Kind, Path, Query, Result, Tagged, Timestamp,
    openapi::OperationInput, routes,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::{MessageId, RoomId},
    model::{Message, NewFile, NewMessage, Sent},
    service::Messages,
    state::ChatState,
};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// An event in the middle of the answer.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Around {
    /// The messages before and after the event with this number, newest first.
    around: Option<i64>,
    /// Number of results: 50 by default, at most 100.
    limit: Option<u64>,
}

/// The default number of messages around an event.
const AROUND: u64 = 50;

/// A file to send.
#[derive(ToSchema)]
#[schema(as = NewRoomFile)]
#[expect(dead_code, reason = "describes the form in OpenAPI")]
struct FileForm {
    /// The file.
    #[schema(format = Binary)]
    file: String,
    /// A text beside it, at most 10,000 characters.
    content: Option<String>,
    /// An id of the client's choice.
    client_id: Option<String>,
    /// The message of the same room that it replies to.
    reply_to: Option<MessageId>,
}

/// A message, or a form with a file.
enum NewBody {
    Text(NewMessage),
    File(Upload),
}

impl<S> FromRequest<S> for NewBody
where
    Files: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_form =
            content_type.is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("multipart/"));
        if is_form {
            return Ok(Self::File(Form::from_request(request, state).await?.file("file")?));
        }
        let Json(message) = Json::from_request(request, state).await?;
        Ok(Self::Text(message))
    }
}

impl OperationInput for NewBody {}

pub(super) fn routes() -> OpenApiRouter<ChatState> {
    OpenApiRouter::new()
        .routes(routes!(room_messages, send_to_room))
        .routes(routes!(room_message))
        .routes(routes!(room_message_file))
}

/// The version of a message, for `ETag`.
pub(super) fn version(message: &Message) -> Timestamp {
    message.edited_at.unwrap_or(message.timestamp)
}

/// The message of a form.
fn file_of(upload: Upload, key: Option<String>) -> Result<NewFile> {
    let Upload { name, content_type, bytes, mut fields } = upload;
    let reply_to = fields.remove("reply_to").filter(|id| !id.is_empty());
    let reply_to = reply_to.map(|id| id.parse().map(MessageId)).transpose();
    let message = NewMessage {
        content: fields.remove("content").unwrap_or_default(),
        client_id: fields.remove("client_id").filter(|id| !id.is_empty()),
        reply_to: reply_to.map_err(|_| Error::field("reply_to", "Not a valid id."))?,
        key,
    };
    Ok(NewFile { name, content_type, bytes, message })
}

/// List the messages of a room, newest first; `before` and `after` are numbers of events. Only participants may.
#[utoipa::path(get, path = "/chat/{room_id}/messages/", tag = "chat",
    responses((status = 200, body = CursorPage<Message>)),
)]
async fn room_messages(
    State(messages): State<Arc<dyn Messages>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    Query(around): Query<Around>,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<Message>>> {
    let Some(seq) = around.around else { return Ok(Json(messages.messages(&caller, room, cursor).await?)) };
    let results = messages.messages_around(&caller, room, seq, around.limit.unwrap_or(AROUND)).await?;
    Ok(Json(CursorPage { next: None, previous: None, results }))
}

/// Send a message or a file to a room. Only participants may.
///
/// The same `client_id` again returns the first message; with another content, file or `reply_to` it is a conflict. An
/// `Idempotency-Key` header serves as the `client_id` if there is none.
#[utoipa::path(post, path = "/chat/{room_id}/messages/", tag = "chat",
    request_body(content((NewMessage = "application/json"), (FileForm = "multipart/form-data"))),
    responses(
        (status = 201, body = Sent, description = "The message was sent"),
        (status = 200, body = Sent, description = "The message had been sent before"),
    ),
)]
async fn send_to_room(
    State(messages): State<Arc<dyn Messages>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    headers: HeaderMap,
    body: NewBody,
) -> Result<Response> {
    let key = headers.get("idempotency-key").map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
    let (has_client_id, outcome) = match body {
        NewBody::Text(mut new) => {
            new.key.clone_from(&key);
            (new.client_id.is_some(), messages.send(&caller, room, new).await)
        }
        NewBody::File(upload) => {
            let new = file_of(upload, key.clone())?;
            (new.message.client_id.is_some(), messages.send_file(&caller, room, new).await)
        }
    };
    let by_key = key.is_some() && !has_client_id;
    let mut sent = outcome.map_err(|error| match error {
        crate::Error::IdempotencyMismatch if by_key => {
            let detail = "This Idempotency-Key was already used for another message.";
            Error::new(Kind::Unprocessable, "idempotency_key_reused", detail)
        }
        error => error.into(),
    })?;
    // The same request with the same key gets the first answer again.
    let is_replay = sent.duplicate && by_key;
    sent.duplicate &= !by_key;
    let status = if sent.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = (status, Json(sent)).into_response();
    if is_replay {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Get a message of a room.
#[utoipa::path(get, path = "/chat/{room_id}/messages/{message_id}/", tag = "chat",
    responses((status = 200, body = Message)),
)]
async fn room_message(
    State(messages): State<Arc<dyn Messages>>,
    caller: Caller,
    Path((room, message)): Path<(RoomId, MessageId)>,
) -> Result<Tagged<Message>> {
    let message = messages.message(&caller, room, message).await?;
    Ok(Tagged(version(&message).into(), message))
}

/// Get the file of a message: redirect to an address that is signed for the caller, valid for an hour.
#[utoipa::path(get, path = "/chat/{room_id}/messages/{message_id}/file/", tag = "chat",
    responses((status = 307, description = "The address of the file")),
)]
async fn room_message_file(
    State(messages): State<Arc<dyn Messages>>,
    caller: Caller,
    Path((room, message)): Path<(RoomId, MessageId)>,
) -> Result<Redirect> {
    let message = messages.message(&caller, room, message).await?;
    let file = message.file.ok_or_else(|| Error::new(Kind::NotFound, "not_found", "The message has no file."))?;
    Ok(Redirect::temporary(&file.url))
}
