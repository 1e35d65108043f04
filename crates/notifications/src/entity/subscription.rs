use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::SubscriptionId;

/// A browser that receives web pushes.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications_subscription")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: SubscriptionId,
    pub user_id: UserId,
    #[sea_orm(unique)]
    pub endpoint: String,
    pub p256dh: Vec<u8>,
    pub auth: Vec<u8>,
    pub created_at: Timestamp,
    /// When the push service last refused a push; null after a successful one.
    pub failed_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
