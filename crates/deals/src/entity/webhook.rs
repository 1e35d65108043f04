use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{MemberId, OrganizationId, WebhookId};

/// A webhook of an organization.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_webhook")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: WebhookId,
    pub org_id: OrganizationId,
    pub url: String,
    /// A JSON array of the subscribed events; empty for all.
    pub events: String,
    pub is_active: bool,
    /// The signing secret.
    pub secret: Vec<u8>,
    /// The previous secret, which signs as well until it expires.
    pub old_secret: Option<Vec<u8>>,
    pub old_secret_until: Option<Timestamp>,
    /// Since when all deliveries have failed.
    pub failing_since: Option<Timestamp>,
    /// How many deliveries have failed in a row.
    pub failures: i64,
    /// Until when deliveries are paused.
    pub paused_until: Option<Timestamp>,
    pub created_by: MemberId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
