use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::id::RoomId;

/// A process to which the host of a room is connected.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "chat_host_connection")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    /// The process.
    #[sea_orm(primary_key, auto_increment = false)]
    pub node: String,
    /// When the process last confirmed it.
    pub seen_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
