use guildhall_kernel::UserId;
use sea_orm::entity::prelude::*;

use crate::id::MessageId;

/// A message that a person has deleted for themselves.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messaging_hidden")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: MessageId,
}

impl ActiveModelBehavior for ActiveModel {}
