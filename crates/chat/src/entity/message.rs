use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{MessageId, RoomId};

/// A message in a room.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "chat_message")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: MessageId,
    pub room_id: RoomId,
    /// The number of the event with which it was sent.
    pub seq: i64,
    /// Its number among the messages of the room, from 1 without gaps.
    pub no: i64,
    pub message_type: MessageType,
    /// `None` for a system message, or once the account is removed.
    pub sender_id: Option<UserId>,
    /// What a system message says, for programs: `member_joined`.
    pub event: Option<String>,
    /// The user that a system message is about.
    pub subject_id: Option<UserId>,
    /// Empty once it is deleted.
    pub content: String,
    /// The number of the event with which the content was written.
    pub content_seq: i64,
    /// Random text that is hashed with the content, so that the hash does not reveal it; empty once it is deleted.
    pub salt: String,
    /// The terms for the full-text search.
    pub search_text: String,
    pub reply_to_id: Option<MessageId>,
    pub client_id: Option<String>,
    pub created_at: Timestamp,
    pub edited_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[schema(as = RoomMessageType)]
pub enum MessageType {
    /// A person has written it.
    Text,
    /// The server has written it about the room.
    System,
    /// A person has uploaded a file.
    File,
}

impl ActiveModelBehavior for ActiveModel {}
