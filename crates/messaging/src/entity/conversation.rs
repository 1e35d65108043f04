use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::ConversationId;

/// A conversation of two people, or of a group.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messaging_conversation")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: ConversationId,
    pub kind: ConversationKind,
    /// The name of a group; empty for two people.
    pub name: String,
    pub owner_id: Option<UserId>,
    /// The two people, the smaller id first; `None` once an account is removed.
    pub pair_low: Option<UserId>,
    pub pair_high: Option<UserId>,
    /// The number of the last message.
    pub last_no: i64,
    pub member_count: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The kind of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Of two people.
    Direct,
    /// Of a group with a name and an owner.
    Group,
}

impl ActiveModelBehavior for ActiveModel {}
