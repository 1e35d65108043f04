//! Deals.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, IfMatch, Json, Page, PageQuery, Path, Query, Result, Tagged,
    idempotency::{Idempotent, WithKey},
    routes,
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Change, CloseDeal, Deal, DealId, DealPatch, DealStatus, Deals, Filter, MoveDeal, NewDeal, OrganizationId,
    StageChange, Verdict, Verification,
    extract::{
        DealAt, Moment, Removal,
        target::{DealPath, DealsPath},
    },
    state::DealsState,
};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(deals, create_deal))
        .routes(routes!(deal, change_deal, delete_deal))
        .routes(routes!(move_deal))
        .routes(routes!(win_deal))
        .routes(routes!(lose_deal))
        .routes(routes!(reopen_deal))
        .routes(routes!(verify_deal))
        .routes(routes!(reject_deal))
        .routes(routes!(archive_deal))
        .routes(routes!(unarchive_deal))
        .routes(routes!(stage_changes))
        .routes(routes!(deal_changes))
}

/// List the deals that the caller may see.
///
/// Sorts by `number`, `id`, `created_at`, `updated_at`, `expected_close_date` and, with `currency`, by `value`.
/// Filters: `q` (or `search`), `owner` (`me` or a user ID), `stage` (a name or ids), `archived` (`false`, `true` or
/// `all`), `status`, `verification_status`, `client_id`, `contact_id`, `pipeline_id`, `stage_id`, `currency`, `value`,
/// `probability`, `expected_close_date`, `closed_at`, `created_at`, `updated_at`, also with `__in`, `__gte`, `__lte`,
/// `__gt`, `__lt`, `__isnull`, and custom fields as `cf_` and the key. An unknown filter is an error (400).
#[utoipa::path(get, path = "/organizations/{org}/deals/", tag = "crm", responses((status = 200, body = Page<Deal>)))]
pub(crate) async fn deals(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    DealsPath { org, client }: DealsPath,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Deal>>> {
    Ok(Json(deals.deals(&caller, org, client, filter, page).await?))
}

/// Create a deal with the organization's next number.
#[utoipa::path(post, path = "/organizations/{org}/deals/", tag = "crm",
    request_body = NewDeal,
    responses((status = 201, body = Deal)),
)]
pub(crate) async fn create_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    DealsPath { org, client }: DealsPath,
    keyed: WithKey<NewDeal>,
) -> Result<Idempotent<Deal>> {
    Ok(deals.create_deal(&caller, org, client, keyed.value, keyed.key).await?)
}

/// Get a deal. `?as_of=` returns it as it was at that time.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/", tag = "crm", responses((status = 200, body = Deal)))]
pub(crate) async fn deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    DealPath { org, deal }: DealPath,
    Query(moment): Query<Moment>,
) -> Result<DealAt> {
    Ok(moment.show(deals.deal(&caller, org, deal, moment.as_of).await?))
}

/// Change a deal.
#[utoipa::path(patch, path = "/organizations/{org}/deals/{deal}/", tag = "crm",
    responses((status = 200, body = Deal)),
)]
pub(crate) async fn change_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    DealPath { org, deal }: DealPath,
    known: IfMatch,
    Json(body): Json<DealPatch>,
) -> Result<Tagged<Deal>> {
    let found = deals.change_deal(&caller, org, deal, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Move a deal to the trash. `?purge=true` removes it and its payments permanently.
#[utoipa::path(delete, path = "/organizations/{org}/deals/{deal}/", tag = "crm", responses((status = 204)))]
pub(crate) async fn delete_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    DealPath { org, deal }: DealPath,
    Query(how): Query<Removal>,
    known: IfMatch,
) -> Result<StatusCode> {
    deals.delete_deal(&caller, org, deal, how.purge, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Move a deal to a stage and to a position among its deals.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/move/", tag = "crm",
    responses((status = 200, body = Deal)),
)]
async fn move_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    Json(body): Json<MoveDeal>,
) -> Result<Tagged<Deal>> {
    let found = deals.move_deal(&caller, org, deal.into(), body).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Mark a deal as won.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/win/", tag = "crm",
    responses((status = 200, body = Deal)),
)]
async fn win_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    body: Option<Json<CloseDeal>>,
) -> Result<Tagged<Deal>> {
    let found = deals.close_deal(&caller, org, deal.into(), DealStatus::Won, body.unwrap_or_default().0).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Mark a deal as lost.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/lose/", tag = "crm",
    responses((status = 200, body = Deal)),
)]
async fn lose_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    body: Option<Json<CloseDeal>>,
) -> Result<Tagged<Deal>> {
    let found = deals.close_deal(&caller, org, deal.into(), DealStatus::Lost, body.unwrap_or_default().0).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Reopen a deal in the stage that it was closed from.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/reopen/", tag = "crm",
    responses((status = 200, body = Deal)),
)]
async fn reopen_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    body: Option<Json<CloseDeal>>,
) -> Result<Tagged<Deal>> {
    let found = deals.close_deal(&caller, org, deal.into(), DealStatus::Open, body.unwrap_or_default().0).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Verify a deal.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/verify/", tag = "crm",
    responses((status = 200, body = Deal)),
)]
async fn verify_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    known: IfMatch,
    body: Option<Json<Verdict>>,
) -> Result<Tagged<Deal>> {
    let found =
        deals.verify_deal(&caller, org, deal.into(), Verification::Verified, body.unwrap_or_default().0, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Reject a deal.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/reject/", tag = "crm",
    responses((status = 200, body = Deal)),
)]
async fn reject_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    known: IfMatch,
    body: Option<Json<Verdict>>,
) -> Result<Tagged<Deal>> {
    let found =
        deals.verify_deal(&caller, org, deal.into(), Verification::Rejected, body.unwrap_or_default().0, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Archive a deal. It is hidden from lists but still counts in reports.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/archive/", tag = "crm",
    responses((status = 200, body = Deal)),
)]
async fn archive_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
) -> Result<Tagged<Deal>> {
    let found = deals.archive_deal(&caller, org, deal.into(), true).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Unarchive a deal.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/unarchive/", tag = "crm",
    responses((status = 200, body = Deal)),
)]
async fn unarchive_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
) -> Result<Tagged<Deal>> {
    let found = deals.archive_deal(&caller, org, deal.into(), false).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// List the stage changes of a deal, newest first.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/stages/", tag = "crm",
    responses((status = 200, body = CursorPage<StageChange>)),
)]
async fn stage_changes(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<StageChange>>> {
    Ok(Json(deals.stage_changes(&caller, org, deal.into(), cursor).await?))
}

/// List the audit log of a deal, newest first.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/history/", tag = "crm",
    responses((status = 200, body = CursorPage<Change>)),
)]
async fn deal_changes(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<Change>>> {
    Ok(Json(deals.deal_changes(&caller, org, deal.into(), cursor).await?))
}
