use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeliveryId, WebhookId};

/// An address that is told what happens in the organization, as Standard Webhooks says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Where it is.
    pub url: String,
    /// The facts that it is told; all where there are none.
    #[schema(example = json!(["deal.won"]))]
    pub events: Vec<String>,
    /// Is it told anything? One that has not answered for five days, or says that it is gone, is switched off.
    pub is_active: bool,
    /// Since when nothing has arrived.
    pub failing_since: Option<Timestamp>,
    /// Who added it.
    pub created_by: Option<Person>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A webhook with the secret that its messages are signed with, which is told this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IssuedWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// The key of the signatures (HMAC with SHA-256), in base 64 behind `whsec_`.
    pub secret: String,
}

/// A webhook to be added.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewWebhook {
    /// Where it is: an address of the public Internet.
    #[garde(custom(text::line(1, 2000)))]
    pub url: String,
    /// The facts that it is told; all where there are none.
    #[serde(default)]
    #[garde(length(max = 50))]
    pub events: Vec<String>,
}

/// A change to a webhook; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct WebhookPatch {
    /// Where it is.
    #[garde(custom(text::maybe(text::line(1, 2000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub url: Option<String>,
    /// The facts that it is told.
    #[garde(inner(length(max = 50)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub events: Option<Vec<String>>,
    /// Is it told anything?
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_active: Option<bool>,
}

/// What became of something that a webhook is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// It is tried, again and again for three days.
    Pending,
    /// It has arrived.
    Delivered,
    /// It was given up.
    Failed,
}

/// Something that a webhook is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// What it is called in `webhook-id`, however often it is sent.
    pub message_id: String,
    /// The fact.
    #[schema(example = "deal.won")]
    pub event: String,
    /// What is sent.
    pub body: serde_json::Value,
    /// What became of it.
    pub status: DeliveryStatus,
    /// How often it was tried.
    pub attempts: i64,
    /// The status of the last answer.
    pub response_status: Option<i64>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it happened.
    pub created_at: Timestamp,
    /// When it was last tried.
    pub tried_at: Option<Timestamp>,
}
