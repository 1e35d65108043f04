//! Types of messages.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Path, Result, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::MessageTypeId,
    model::{MessageType, MessageTypePatch, NewMessageType},
    service::MessageTypes,
    state::MessagingState,
};

/// The types of messages.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageTypesAnswer)]
struct MessageTypesBody {
    /// `true`.
    success: bool,
    /// In the order of their creation.
    message_types: Vec<MessageType>,
}

/// A type of messages.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageTypeAnswer)]
struct MessageTypeBody {
    /// `true`.
    success: bool,
    /// The type.
    message_type: MessageType,
}

pub(super) fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new().routes(routes!(message_types, create_message_type)).routes(routes!(change_message_type))
}

/// List the types of messages.
#[utoipa::path(get, path = "/message-types/", tag = "messaging", responses((status = 200, body = MessageTypesBody)))]
async fn message_types(State(types): State<Arc<dyn MessageTypes>>, caller: Caller) -> Result<Json<MessageTypesBody>> {
    Ok(Json(MessageTypesBody { success: true, message_types: types.message_types(&caller).await? }))
}

/// Create a type of messages. Only staff may.
#[utoipa::path(post, path = "/message-types/", tag = "messaging", responses((status = 201, body = MessageTypeBody)))]
async fn create_message_type(
    State(types): State<Arc<dyn MessageTypes>>,
    caller: Caller,
    Json(body): Json<NewMessageType>,
) -> Result<(StatusCode, Json<MessageTypeBody>)> {
    let message_type = types.create_message_type(&caller, body).await?;
    Ok((StatusCode::CREATED, Json(MessageTypeBody { success: true, message_type })))
}

/// Change a type of messages. Only staff may.
#[utoipa::path(patch, path = "/message-types/{id}/", tag = "messaging",
    responses((status = 200, body = MessageTypeBody)),
)]
async fn change_message_type(
    State(types): State<Arc<dyn MessageTypes>>,
    caller: Caller,
    Path(id): Path<MessageTypeId>,
    Json(body): Json<MessageTypePatch>,
) -> Result<Json<MessageTypeBody>> {
    let message_type = types.change_message_type(&caller, id, body).await?;
    Ok(Json(MessageTypeBody { success: true, message_type }))
}
