use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{MemberId, OrganizationId, WebhookId};

/// An address that is told what happens in an organization.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_webhook")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: WebhookId,
    pub org_id: OrganizationId,
    pub url: String,
    /// JSON: the names of the facts that it is told; all where there are none.
    pub events: String,
    pub is_active: bool,
    /// The key of the signatures that it knows us by.
    pub secret: Vec<u8>,
    /// The one before, by which it knows us for a while too.
    pub old_secret: Option<Vec<u8>>,
    pub old_secret_until: Option<Timestamp>,
    /// Since when nothing has arrived.
    pub failing_since: Option<Timestamp>,
    /// How often in a row nothing has arrived.
    pub failures: i64,
    /// Until when nothing more is tried.
    pub paused_until: Option<Timestamp>,
    pub created_by: MemberId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
