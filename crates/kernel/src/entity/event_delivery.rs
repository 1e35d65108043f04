use sea_orm::entity::prelude::*;

use super::event::EventId;
use crate::Timestamp;

/// A pending or failed delivery of an event to a subscriber.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_event_delivery")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: EventId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub subscriber: String,
    /// The aggregate of the event.
    pub aggregate: String,
    pub attempts: i32,
    /// The time of the next attempt; null if the delivery has failed permanently.
    pub next_at: Option<Timestamp>,
    pub last_error: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
