use sea_orm::entity::prelude::*;

use crate::{Timestamp, UserId};

/// Something to be delivered, or that was.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_outbox")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    /// `mail`, or whatever else a carrier takes.
    pub channel: String,
    pub user_id: Option<UserId>,
    pub recipient: String,
    pub title: String,
    /// JSON; forgotten once it is delivered or given up, since it may hold secrets.
    pub payload: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub attempts: i64,
    /// When it is next tried; null once it is delivered or given up.
    pub next_at: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
    pub last_error: Option<String>,
    /// The recipient in the form in which addresses are compared.
    pub recipient_key: String,
}

impl ActiveModelBehavior for ActiveModel {}
