use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

/// A stream.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "realtime_stream")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    /// `room/7`.
    #[sea_orm(unique)]
    pub name: String,
    /// The number of the last event; 0 before the first one.
    pub last_seq: i64,
    pub created_at: Timestamp,
    /// The number of streams that had been deleted when this one began.
    pub epoch: i64,
    /// How often the stream was locked to publish something that is not stored with it.
    pub lock_count: i64,
}

impl ActiveModelBehavior for ActiveModel {}
