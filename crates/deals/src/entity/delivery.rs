use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{DeliveryId, DeliveryStatus, OrganizationId, WebhookId};

/// The delivery of an event to a webhook.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_delivery")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: DeliveryId,
    pub org_id: OrganizationId,
    pub webhook_id: WebhookId,
    /// The message id, the same for all attempts.
    pub message_id: String,
    pub event: String,
    /// The JSON body, exactly as signed.
    pub body: String,
    pub status: DeliveryStatus,
    pub attempts: i64,
    pub response_status: Option<i64>,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
    pub tried_at: Option<Timestamp>,
    /// When the attempts end.
    pub tried_until: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
