use sea_orm::entity::prelude::*;

use crate::{Timestamp, UserId};

/// A message of the outbox.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_outbox")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The channel of the transport: `mail`.
    pub channel: String,
    pub user_id: Option<UserId>,
    pub recipient: String,
    pub title: String,
    /// JSON; null once the message is delivered or has failed, since it may contain secrets.
    pub payload: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub attempts: i64,
    /// The time of the next attempt; null once the message is delivered or has failed.
    pub next_at: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
    pub last_error: Option<String>,
    /// The canonical form of the recipient, for comparison.
    pub recipient_key: String,
}

impl ActiveModelBehavior for ActiveModel {}
