use sea_orm::entity::prelude::*;

use crate::id::MessageTypeId;

/// A type of messages.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messaging_message_type")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: MessageTypeId,
    #[sea_orm(unique)]
    pub name: String,
    /// Whether new messages can have this type.
    pub is_active: bool,
}

impl ActiveModelBehavior for ActiveModel {}
