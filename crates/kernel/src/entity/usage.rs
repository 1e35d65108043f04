use sea_orm::entity::prelude::*;

use crate::{Timestamp, UserId};

/// The usage of a quota by a user.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_usage")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// The start of the period.
    pub since: Timestamp,
    pub amount: i64,
}

impl ActiveModelBehavior for ActiveModel {}
