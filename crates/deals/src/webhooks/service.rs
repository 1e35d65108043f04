//! The service trait.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, IfMatch, Page, PageQuery};

use crate::{
    Delivery, DeliveryId, IssuedWebhook, NewWebhook, OrganizationId, Result, Webhook, WebhookId, WebhookPatch,
};

/// Webhooks of organizations.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Webhooks: Send + Sync + 'static {
    /// The webhooks of an organization.
    async fn webhooks(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Webhook>>;
    /// Creates a webhook. The caller has to be able to see everything that its events are about.
    async fn create_webhook(&self, caller: &Caller, org: OrganizationId, new: NewWebhook) -> Result<IssuedWebhook>;
    /// A webhook.
    async fn webhook(&self, caller: &Caller, org: OrganizationId, id: WebhookId) -> Result<Webhook>;
    /// Changes, activates or deactivates a webhook.
    async fn change_webhook(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: WebhookId,
        patch: WebhookPatch,
        known: IfMatch,
    ) -> Result<Webhook>;
    /// Deletes a webhook with its deliveries.
    async fn delete_webhook(&self, caller: &Caller, org: OrganizationId, id: WebhookId, known: IfMatch) -> Result<()>;
    /// Sends the event `ping` to a webhook.
    async fn test_webhook(&self, caller: &Caller, org: OrganizationId, id: WebhookId) -> Result<Delivery>;
    /// Replaces the secret of a webhook. Messages are also signed with the old one for another day.
    async fn rotate_secret(&self, caller: &Caller, org: OrganizationId, id: WebhookId) -> Result<IssuedWebhook>;
    /// The deliveries of the last thirty days, newest first.
    async fn deliveries(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: WebhookId,
        page: CursorQuery,
    ) -> Result<CursorPage<Delivery>>;
    /// Sends a delivery again, with the same `webhook-id`.
    async fn redeliver(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Delivery>;
}
