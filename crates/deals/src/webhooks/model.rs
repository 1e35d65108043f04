//! The inputs and views of webhooks.

use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{DeliveryId, WebhookId};

/// A URL that receives the events of an organization, as specified by Standard Webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// The URL.
    pub url: String,
    /// The events that it receives; all events if empty.
    #[schema(example = json!(["deal.won"]))]
    pub events: Vec<String>,
    /// Whether events are sent. It becomes `false` when deliveries have failed for five days, or when the receiver
    /// responds with 410 Gone.
    pub is_active: bool,
    /// Since when deliveries fail; `null` if the last one succeeded.
    pub failing_since: Option<Timestamp>,
    /// Who created it.
    pub created_by: Option<Person>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A webhook with its signing secret, which is only shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IssuedWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// The key of the signatures (HMAC-SHA256): `whsec_` followed by the Base64 of the key.
    pub secret: String,
}

/// A webhook to be created.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewWebhook {
    /// The URL, with a host on the public internet.
    #[garde(custom(text::line(1, 2000)))]
    pub url: String,
    /// The events that it receives; all events if empty.
    #[serde(default)]
    #[garde(length(max = 50))]
    pub events: Vec<String>,
}

/// A change to a webhook; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct WebhookPatch {
    /// The URL.
    #[garde(custom(text::maybe(text::line(1, 2000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub url: Option<String>,
    /// The events that it receives; all events if empty.
    #[garde(inner(length(max = 50)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub events: Option<Vec<String>>,
    /// Whether events are sent.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_active: Option<bool>,
}

/// The status of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Waiting for the next attempt; given up after three days.
    Pending,
    /// Delivered.
    Delivered,
    /// Failed permanently.
    Failed,
}

/// The delivery of an event to a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The header `webhook-id`, which is the same for all attempts.
    pub message_id: String,
    /// The type of the event.
    #[schema(example = "deal.won")]
    pub event: String,
    /// The body of the request.
    pub body: serde_json::Value,
    /// The status.
    pub status: DeliveryStatus,
    /// The number of attempts.
    pub attempts: i64,
    /// The HTTP status of the last response; `null` if the last attempt got none.
    pub response_status: Option<i64>,
    /// The error of the last attempt, if it got no response.
    pub last_error: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the last attempt was made.
    pub tried_at: Option<Timestamp>,
}
