use sea_orm::entity::prelude::*;

use crate::{Timestamp, UserId};

/// An entry of the audit log. Append-only; only the user ids become null when the users are removed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kernel_audit_event")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub at: Timestamp,
    /// The actor; null for the command line and for unauthenticated requests.
    pub actor_id: Option<UserId>,
    pub actor_label: String,
    /// The user that was acted upon.
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
    /// The scope by which the log can be filtered: `deals/3`.
    pub scope: Option<String>,
    /// The object that was acted upon, if it is not a user: `deals/deal/17`.
    pub object: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
