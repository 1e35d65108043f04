use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::{MessageId, RoomId};

/// A pinned message.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "chat_pin")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: MessageId,
    pub room_id: RoomId,
    pub pinned_by: Option<UserId>,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
