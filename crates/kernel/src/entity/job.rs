use sea_orm::entity::prelude::*;

use crate::Timestamp;

/// The schedule of a periodic job.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_job")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The time of the next run; postponed while a node runs the job.
    pub next_at: Timestamp,
    pub last_run_at: Option<Timestamp>,
    pub last_error: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
