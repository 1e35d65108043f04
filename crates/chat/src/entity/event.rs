use sea_orm::entity::prelude::*;

use crate::id::RoomId;

/// An event of a room, in the chain of hashes.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "chat_event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// What has happened, as canonical JSON. Contents appear as hashes, so that they can be deleted.
    pub record: String,
    /// SHA-256 over the hash of the event before it and the record, in hexadecimal.
    pub hash: String,
}

impl ActiveModelBehavior for ActiveModel {}
