//! Addresses that are told what happens.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{
    Caller, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Result, Slice, SliceParams, SliceQuery, Tagged,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::DealsState;
use crate::{
    Delivery, DeliveryId, IssuedWebhook, NewWebhook, OrganizationId, Webhook, WebhookId, WebhookPatch, Webhooks,
};

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(webhooks, create_webhook))
        .routes(routes!(webhook, change_webhook, delete_webhook))
        .routes(routes!(test_webhook))
        .routes(routes!(rotate_secret))
        .routes(routes!(deliveries))
        .routes(routes!(redeliver))
}

/// The webhooks of an organization.
#[utoipa::path(get, path = "/organizations/{org}/webhooks/", tag = "crm",
    params(("org" = OrganizationId, Path), PageParams),
    responses((status = 200, body = Page<Webhook>), (status = "4XX", body = Problem)),
)]
async fn webhooks(
    State(all): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Webhook>>> {
    Ok(Json(all.webhooks(&caller, org, page).await?))
}

/// Add a webhook (Standard Webhooks): its address is sent every fact that it wants, signed with the secret that this answer tells once. Only addresses of the public Internet are reached, at ports 80 and 443. Facts: `client.created`, `client.updated`, `client.deleted`, `deal.created`, `deal.updated`, `deal.moved`, `deal.won`, `deal.lost`, `deal.reopened`, `deal.deleted`, `payment.recorded`, `payment.decided`, `task.created`, `task.updated`, `trash.restored`, `import.finished`. What one act does to many rows (handing over, emptying a stage, importing, what goes into the trash with a client) is told as that act.
#[utoipa::path(post, path = "/organizations/{org}/webhooks/", tag = "crm",
    params(("org" = OrganizationId, Path)),
    responses((status = 201, body = IssuedWebhook), (status = "4XX", body = Problem)),
)]
async fn create_webhook(
    State(all): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewWebhook>,
) -> Result<(StatusCode, Tagged<IssuedWebhook>)> {
    let found = all.create_webhook(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.webhook.updated_at.into(), found)))
}

/// A webhook.
#[utoipa::path(get, path = "/organizations/{org}/webhooks/{webhook}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("webhook" = WebhookId, Path)),
    responses(
        (status = 200, body = Webhook, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn webhook(
    State(all): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook)): Path<(OrganizationId, WebhookId)>,
) -> Result<Tagged<Webhook>> {
    let found = all.webhook(&caller, org, webhook).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a webhook, or switch it on and off.
#[utoipa::path(patch, path = "/organizations/{org}/webhooks/{webhook}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("webhook" = WebhookId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Webhook, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_webhook(
    State(all): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook)): Path<(OrganizationId, WebhookId)>,
    known: IfMatch,
    Json(body): Json<WebhookPatch>,
) -> Result<Tagged<Webhook>> {
    let found = all.change_webhook(&caller, org, webhook, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Remove a webhook, with what it was to be told.
#[utoipa::path(delete, path = "/organizations/{org}/webhooks/{webhook}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("webhook" = WebhookId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_webhook(
    State(all): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook)): Path<(OrganizationId, WebhookId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    all.delete_webhook(&caller, org, webhook, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a webhook something to try it out: the event `ping`.
#[utoipa::path(post, path = "/organizations/{org}/webhooks/{webhook}/test/", tag = "crm",
    params(("org" = OrganizationId, Path), ("webhook" = WebhookId, Path)),
    responses((status = 202, body = Delivery), (status = "4XX", body = Problem)),
)]
async fn test_webhook(
    State(all): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook)): Path<(OrganizationId, WebhookId)>,
) -> Result<(StatusCode, Json<Delivery>)> {
    Ok((StatusCode::ACCEPTED, Json(all.test_webhook(&caller, org, webhook).await?)))
}

/// Make a new secret; messages are signed with the old one too for another day.
#[utoipa::path(post, path = "/organizations/{org}/webhooks/{webhook}/rotate-secret/", tag = "crm",
    params(("org" = OrganizationId, Path), ("webhook" = WebhookId, Path)),
    responses((status = 200, body = IssuedWebhook), (status = "4XX", body = Problem)),
)]
async fn rotate_secret(
    State(all): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook)): Path<(OrganizationId, WebhookId)>,
) -> Result<Json<IssuedWebhook>> {
    Ok(Json(all.rotate_secret(&caller, org, webhook).await?))
}

/// Tell a webhook something once more, under the same name.
#[utoipa::path(post, path = "/organizations/{org}/webhooks/{webhook}/deliveries/{delivery}/redeliver/", tag = "crm",
    params(("org" = OrganizationId, Path), ("webhook" = WebhookId, Path), ("delivery" = DeliveryId, Path)),
    responses((status = 202, body = Delivery), (status = "4XX", body = Problem)),
)]
async fn redeliver(
    State(all): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook, delivery)): Path<(OrganizationId, WebhookId, DeliveryId)>,
) -> Result<(StatusCode, Json<Delivery>)> {
    Ok((StatusCode::ACCEPTED, Json(all.redeliver(&caller, org, webhook, delivery).await?)))
}

/// What a webhook was told in the last thirty days, newest first, and what became of it.
#[utoipa::path(get, path = "/organizations/{org}/webhooks/{webhook}/deliveries/", tag = "crm",
    params(("org" = OrganizationId, Path), ("webhook" = WebhookId, Path), SliceParams),
    responses((status = 200, body = Slice<Delivery>), (status = "4XX", body = Problem)),
)]
async fn deliveries(
    State(all): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook)): Path<(OrganizationId, WebhookId)>,
    slice: SliceQuery,
) -> Result<Json<Slice<Delivery>>> {
    Ok(Json(all.deliveries(&caller, org, webhook, slice).await?))
}
