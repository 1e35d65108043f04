use sea_orm::entity::prelude::*;

use crate::{Timestamp, define_id};

define_id!(
    /// An event. The ids of the events of one aggregate ascend.
    EventId
);

/// An event, until all its subscribers have handled it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_event")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: EventId,
    pub name: String,
    pub aggregate: String,
    /// JSON.
    pub payload: String,
    pub at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
