use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::EventId;

/// A user's RSVP to an event.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_rsvp")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub event_id: EventId,
    pub user_id: UserId,
    pub status: Attendance,
    pub since: Timestamp,
}

/// The status of an RSVP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Attendance {
    /// Attends, and has a spot.
    Going,
    /// Is not sure yet.
    Maybe,
    /// Does not attend.
    Declined,
    /// On the waiting list: wants to attend, but the event is full. Free spots go to those who have waited longest.
    Waiting,
}

impl ActiveModelBehavior for ActiveModel {}
