use guildhall_kernel::UserId;
use sea_orm::entity::prelude::*;

use crate::{Channel, NotificationKind};

/// Whether a user gets notifications of a kind through a channel; without a row, the default of the kind applies.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications_preference")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: NotificationKind,
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel: Channel,
    pub is_on: bool,
}

impl ActiveModelBehavior for ActiveModel {}
