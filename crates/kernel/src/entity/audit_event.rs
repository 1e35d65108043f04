use sea_orm::entity::prelude::*;

use crate::{Timestamp, UserId};

/// Something that happened. Never changed; the two people turn into their labels when they go.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_audit_event")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub at: Timestamp,
    /// Who did it; nobody for the command line and for whoever did not show who they are.
    pub actor_id: Option<UserId>,
    pub actor_label: String,
    /// Whom it was done to.
    pub subject_id: Option<UserId>,
    pub subject_label: String,
    /// `accounts.sign_in`.
    pub action: String,
    /// `done` or `refused`.
    pub outcome: String,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    /// A JSON object.
    pub detail: String,
    /// Within what it happened, where that has a log of its own: `deals/3`.
    pub realm: Option<String>,
    /// What it was done to, where that is no person: `deals/deal/17`.
    pub object: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
