use sea_orm::entity::prelude::*;

use crate::{Timestamp, UserId};

/// What a person has used of something that is limited.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_usage")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// When the period began.
    pub since: Timestamp,
    pub amount: i64,
}

impl ActiveModelBehavior for ActiveModel {}
