use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::RoomId;

/// A chat room.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "chat_room")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: RoomId,
    /// `None` only for a closed room whose host's account was removed.
    pub host_id: Option<UserId>,
    pub name: String,
    pub description: String,
    /// Whether it is in the list of rooms.
    pub is_listed: bool,
    /// Whether whoever asks to join joins at once.
    pub auto_approve: bool,
    /// Whether participants see what happened before they joined.
    pub history_from_start: bool,
    pub allow_file_uploads: bool,
    /// How long a participant has to wait between two messages, in seconds.
    pub slow_mode_seconds: i64,
    pub max_participants: i64,
    pub participant_count: i64,
    pub is_active: bool,
    /// Since when the host has no connection, if they had one. The room closes when the grace is over.
    pub host_away_since: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    /// The number of the last event.
    pub last_seq: i64,
    /// The number of the last message.
    pub last_no: i64,
    /// The hash of the last event; empty before the first one.
    pub last_hash: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
