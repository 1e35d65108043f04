use sea_orm::entity::prelude::*;

use crate::{Timestamp, UserId};

/// A request that was done, so that it is not done again.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_idempotency_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// Within what the key counts: `deals/3`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub realm: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// A hash of the request.
    pub fingerprint: Vec<u8>,
    /// What was answered: JSON.
    pub answer: String,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
