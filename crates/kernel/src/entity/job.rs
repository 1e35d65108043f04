use sea_orm::entity::prelude::*;

use crate::Timestamp;

/// When a job that comes again is next due.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_job")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Also moved ahead while somebody does it.
    pub next_at: Timestamp,
    pub last_run_at: Option<Timestamp>,
    pub last_error: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
