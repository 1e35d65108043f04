use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::{Attendance, EventId};

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

impl ActiveModelBehavior for ActiveModel {}
