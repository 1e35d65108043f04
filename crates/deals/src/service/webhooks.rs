use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery, Slice, SliceQuery};

use crate::{
    Delivery, DeliveryId, IssuedWebhook, NewWebhook, OrganizationId, Result, Webhook, WebhookId, WebhookPatch,
};

/// Addresses that are told what happens in an organization.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Webhooks: Send + Sync + 'static {
    /// The webhooks of an organization.
    async fn webhooks(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Webhook>>;
    /// Adds a webhook, for somebody who sees everything that it is told.
    async fn create_webhook(&self, caller: &Caller, org: OrganizationId, new: NewWebhook) -> Result<IssuedWebhook>;
    /// A webhook.
    async fn webhook(&self, caller: &Caller, org: OrganizationId, id: WebhookId) -> Result<Webhook>;
    /// Changes a webhook, or switches it on and off.
    async fn change_webhook(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: WebhookId,
        patch: WebhookPatch,
        known: IfMatch,
    ) -> Result<Webhook>;
    /// Removes a webhook, with what it was to be told.
    async fn delete_webhook(&self, caller: &Caller, org: OrganizationId, id: WebhookId, known: IfMatch) -> Result<()>;
    /// Sends something to try a webhook out.
    async fn test_webhook(&self, caller: &Caller, org: OrganizationId, id: WebhookId) -> Result<Delivery>;
    /// Makes a new secret; the old one signs too for another day.
    async fn rotate_secret(&self, caller: &Caller, org: OrganizationId, id: WebhookId) -> Result<IssuedWebhook>;
    /// What a webhook was told in the last thirty days, newest first.
    async fn deliveries(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: WebhookId,
        slice: SliceQuery,
    ) -> Result<Slice<Delivery>>;
    /// Tells a webhook something once more, under the same name.
    async fn redeliver(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Delivery>;
}
