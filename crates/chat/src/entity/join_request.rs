use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{RequestId, RoomId};

/// A request to join a room.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "chat_join_request")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: RequestId,
    pub room_id: RoomId,
    pub user_id: UserId,
    pub status: RequestStatus,
    pub decided_by: Option<UserId>,
    pub created_at: Timestamp,
    pub decided_at: Option<Timestamp>,
}

/// What has become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[schema(as = RoomRequestStatus)]
pub enum RequestStatus {
    /// Nobody has decided yet.
    Pending,
    /// The person takes part.
    Approved,
    /// It was refused.
    Denied,
    /// The person has taken it back.
    Withdrawn,
    /// Nobody has decided in time, or the room was closed.
    Expired,
}

impl ActiveModelBehavior for ActiveModel {}
