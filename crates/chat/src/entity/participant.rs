use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::RoomId;

/// A person in a room, or who was in it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "chat_participant")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub role: Role,
    pub state: ParticipantState,
    /// The number of the last event before they joined.
    pub joined_seq: i64,
    pub joined_at: Timestamp,
    /// They have read the messages up to this number.
    pub last_read_no: i64,
    /// When they last sent a message.
    pub last_sent_at: Option<Timestamp>,
    pub muted_until: Option<Timestamp>,
}

/// What a person may do in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[schema(as = RoomRole)]
pub enum Role {
    /// They have opened the room, or it was handed over to them.
    Host,
    /// They moderate the room beside the host.
    #[sea_orm(string_value = "cohost")]
    #[serde(rename = "cohost")]
    CoHost,
    /// They take part.
    Member,
}

/// Whether a person takes part in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ParticipantState {
    /// They take part.
    Active,
    /// They have left.
    Left,
    /// They were removed, and only come back if they are invited.
    Removed,
}

impl ActiveModelBehavior for ActiveModel {}
