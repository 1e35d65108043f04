//! The routes.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, IfMatch, Json, Page, PageQuery, Path, Result, Tagged, openapi::operations, routes,
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Delivery, DeliveryId, IssuedWebhook, NewWebhook, OrganizationId, Webhook, WebhookId, WebhookPatch, Webhooks,
    event::EVENTS, state::DealsState,
};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    let mut routes = OpenApiRouter::new()
        .routes(routes!(webhooks, create_webhook))
        .routes(routes!(webhook, change_webhook, delete_webhook))
        .routes(routes!(test_webhook))
        .routes(routes!(rotate_secret))
        .routes(routes!(deliveries))
        .routes(routes!(redeliver));
    for operation in operations(&mut routes.get_openapi_mut().paths) {
        if operation.operation_id.as_deref() == Some("create_webhook") {
            let description = operation.description.get_or_insert_default();
            let events = EVENTS.iter().map(|event| format!("- `{}`: {}", event.name, event.description));
            description.push_str("\n\nThe types of events:\n\n");
            description.push_str(&events.collect::<Vec<_>>().join("\n"));
        }
    }
    routes
}

/// List the webhooks of an organization.
#[utoipa::path(get, path = "/organizations/{org}/webhooks/", tag = "crm",
    responses((status = 200, body = Page<Webhook>)),
)]
async fn webhooks(
    State(webhooks): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Webhook>>> {
    Ok(Json(webhooks.webhooks(&caller, org, page).await?))
}

/// Create a webhook, as specified by [Standard Webhooks](https://www.standardwebhooks.com).
///
/// Events are sent as POST requests, signed with the secret that only this response shows. The URL must have a host on
/// the public internet and port 80 or 443. Only members who can see all clients, deals, payments and tasks may create a
/// webhook.
///
/// Bulk operations send one event, not one per row: restoring sends `trash.restored`, an import `import.finished` (and
/// `client.updated` for each client that it changed), reverting it `import.reverted`, emptying a stage `stage.emptied`,
/// and reassigning `member.reassigned`. Deleting or merging a client sends no events for its contacts, deals and tasks.
#[utoipa::path(post, path = "/organizations/{org}/webhooks/", tag = "crm",
    responses((status = 201, body = IssuedWebhook)),
)]
async fn create_webhook(
    State(webhooks): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewWebhook>,
) -> Result<(StatusCode, Tagged<IssuedWebhook>)> {
    let found = webhooks.create_webhook(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.webhook.updated_at.into(), found)))
}

/// Get a webhook.
#[utoipa::path(get, path = "/organizations/{org}/webhooks/{webhook}/", tag = "crm",
    responses((status = 200, body = Webhook)),
)]
async fn webhook(
    State(webhooks): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook)): Path<(OrganizationId, WebhookId)>,
) -> Result<Tagged<Webhook>> {
    let found = webhooks.webhook(&caller, org, webhook).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change, activate or deactivate a webhook.
#[utoipa::path(patch, path = "/organizations/{org}/webhooks/{webhook}/", tag = "crm",
    responses((status = 200, body = Webhook)),
)]
async fn change_webhook(
    State(webhooks): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook)): Path<(OrganizationId, WebhookId)>,
    known: IfMatch,
    Json(body): Json<WebhookPatch>,
) -> Result<Tagged<Webhook>> {
    let found = webhooks.change_webhook(&caller, org, webhook, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Delete a webhook with its deliveries.
#[utoipa::path(delete, path = "/organizations/{org}/webhooks/{webhook}/", tag = "crm", responses((status = 204)))]
async fn delete_webhook(
    State(webhooks): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook)): Path<(OrganizationId, WebhookId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    webhooks.delete_webhook(&caller, org, webhook, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Test a webhook: send the event `ping` to it.
#[utoipa::path(post, path = "/organizations/{org}/webhooks/{webhook}/test/", tag = "crm",
    responses((status = 202, body = Delivery)),
)]
async fn test_webhook(
    State(webhooks): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook)): Path<(OrganizationId, WebhookId)>,
) -> Result<(StatusCode, Json<Delivery>)> {
    Ok((StatusCode::ACCEPTED, Json(webhooks.test_webhook(&caller, org, webhook).await?)))
}

/// Replace the secret of a webhook. Messages are also signed with the old one for another day.
#[utoipa::path(post, path = "/organizations/{org}/webhooks/{webhook}/rotate-secret/", tag = "crm",
    responses((status = 200, body = IssuedWebhook)),
)]
async fn rotate_secret(
    State(webhooks): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook)): Path<(OrganizationId, WebhookId)>,
) -> Result<Json<IssuedWebhook>> {
    Ok(Json(webhooks.rotate_secret(&caller, org, webhook).await?))
}

/// Send a delivery again, with the same `webhook-id`.
#[utoipa::path(post, path = "/organizations/{org}/webhooks/{webhook}/deliveries/{delivery}/redeliver/", tag = "crm",
    responses((status = 202, body = Delivery)),
)]
async fn redeliver(
    State(webhooks): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook, delivery)): Path<(OrganizationId, WebhookId, DeliveryId)>,
) -> Result<(StatusCode, Json<Delivery>)> {
    Ok((StatusCode::ACCEPTED, Json(webhooks.redeliver(&caller, org, webhook, delivery).await?)))
}

/// List the deliveries of the last thirty days, newest first.
#[utoipa::path(get, path = "/organizations/{org}/webhooks/{webhook}/deliveries/", tag = "crm",
    responses((status = 200, body = CursorPage<Delivery>)),
)]
async fn deliveries(
    State(webhooks): State<Arc<dyn Webhooks>>,
    caller: Caller,
    Path((org, webhook)): Path<(OrganizationId, WebhookId)>,
    page: CursorQuery,
) -> Result<Json<CursorPage<Delivery>>> {
    Ok(Json(webhooks.deliveries(&caller, org, webhook, page).await?))
}
