use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{ConversationId, MessageId};

/// A person in a conversation, with what only they see of it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messaging_member")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: ConversationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub state: MemberState,
    /// The number of the last message when they joined.
    pub joined_no: i64,
    pub joined_at: Timestamp,
    /// They have read the messages up to this number.
    pub last_read_no: i64,
    /// They have deleted the messages up to this number for themselves.
    pub cleared_no: i64,
    /// The number of later messages of others.
    pub unread_count: i64,
    /// The last message that they see. Only meant for the order of the inbox, so no foreign key.
    pub last_message_id: Option<MessageId>,
    pub is_marked_unread: bool,
    pub muted_until: Option<Timestamp>,
    pub archived_at: Option<Timestamp>,
    pub pinned_at: Option<Timestamp>,
    pub draft: Option<String>,
    /// The key that the draft is encrypted with.
    pub draft_key_id: Option<String>,
}

/// How a person takes part in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// They take part.
    Active,
    /// They have not accepted the conversation yet.
    Requested,
    /// They have left the group, or have declined the conversation.
    Left,
    /// The owner has removed them from the group.
    Removed,
}

impl ActiveModelBehavior for ActiveModel {}
