use sea_orm::entity::prelude::*;

/// The epoch of all streams: a single row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "realtime_epoch")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Changes when the numbers start again: after a restore.
    pub epoch: i64,
    /// How many streams have been deleted.
    pub deleted_streams: i64,
}

impl ActiveModelBehavior for ActiveModel {}
