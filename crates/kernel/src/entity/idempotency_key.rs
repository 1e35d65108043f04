use sea_orm::entity::prelude::*;

use crate::{Timestamp, UserId};

/// An idempotency key with the stored response.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_idempotency_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The scope within which the key is unique: `deals/3`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// A hash of the request.
    pub fingerprint: Vec<u8>,
    /// The response: JSON.
    pub answer: String,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
