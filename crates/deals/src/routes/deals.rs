//! Deals.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_kernel::{
    Caller, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Slice, SliceParams, SliceQuery,
    Tagged,
    idempotency::{Keyed, Made},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::DealsState;
use super::{Moment, Removal};
use crate::{
    Change, ClientId, Closing, Deal, DealId, DealPatch, DealStatus, Deals, Filter, Move, NewDeal, OrganizationId,
    Place, StageChange, Verdict, Verification,
};

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(deals, create_deal))
        .routes(routes!(deals_of_client, create_deal_of_client))
        .routes(routes!(deal, change_deal, delete_deal))
        .routes(routes!(deal_of_client, change_deal_of_client, delete_deal_of_client))
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

/// The deals that the caller may see. Sorts by `number`, `id`, `created_at`, `updated_at`, `expected_close_date` and, with `currency`, by `value`; narrowed by `q` (also `search`), `owner` (`me`, or an account), `stage` (name or id), `archived` (`false`, `true`, `all`), `status`, `client_id`, `pipeline_id`, `currency`, `value`, `expected_close_date` and others, with `__in`, `__gte`, `__lte`, `__gt`, `__lt`, `__isnull`. An unknown filter is 400.
#[utoipa::path(get, path = "/organizations/{org}/deals/", tag = "crm",
    params(("org" = OrganizationId, Path), PageParams, Filter),
    responses((status = 200, body = Page<Deal>), (status = "4XX", body = Problem)),
)]
async fn deals(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Deal>>> {
    Ok(Json(deals.deals(&caller, org, None, filter, page).await?))
}

/// Add a deal, with the next number of the organization.
#[utoipa::path(post, path = "/organizations/{org}/deals/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key it is done once"),
    ),
    request_body = NewDeal,
    responses((status = 201, body = Deal), (status = "4XX", body = Problem)),
)]
async fn create_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    keyed: Keyed<NewDeal>,
) -> Result<Made<Deal>> {
    Ok(deals.create_deal(&caller, org, None, keyed.value, keyed.once).await?)
}

/// The deals of a client, as the list of all deals.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/deals/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path), PageParams, Filter),
    responses((status = 200, body = Page<Deal>), (status = "4XX", body = Problem)),
)]
async fn deals_of_client(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Deal>>> {
    Ok(Json(deals.deals(&caller, org, Some(client), filter, page).await?))
}

/// Add a deal of a client.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/deals/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key it is done once"),
    ),
    request_body = NewDeal,
    responses((status = 201, body = Deal), (status = "4XX", body = Problem)),
)]
async fn create_deal_of_client(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    keyed: Keyed<NewDeal>,
) -> Result<Made<Deal>> {
    Ok(deals.create_deal(&caller, org, Some(client), keyed.value, keyed.once).await?)
}

/// A deal; `?as_of=` shows it as it was at a moment.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path), Moment),
    responses(
        (status = 200, body = Deal, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    Query(moment): Query<Moment>,
) -> Result<Response> {
    Ok(moment.show(deals.deal(&caller, org, deal.into(), moment.as_of).await?))
}

/// Change a deal.
#[utoipa::path(patch, path = "/organizations/{org}/deals/{deal}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("deal" = DealId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Deal, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    known: IfMatch,
    Json(body): Json<DealPatch>,
) -> Result<Tagged<Deal>> {
    let found = deals.change_deal(&caller, org, deal.into(), body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Put a deal into the trash; `?purge=true` removes it and its payments for good.
#[utoipa::path(delete, path = "/organizations/{org}/deals/{deal}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("deal" = DealId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
        Removal,
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    Query(how): Query<Removal>,
    known: IfMatch,
) -> Result<StatusCode> {
    deals.delete_deal(&caller, org, deal.into(), how.purge, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A deal of a client; `?as_of=` shows it as it was at a moment.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/deals/{deal}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path), ("deal" = DealId, Path), Moment),
    responses(
        (status = 200, body = Deal, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn deal_of_client(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, client, deal)): Path<(OrganizationId, ClientId, DealId)>,
    Query(moment): Query<Moment>,
) -> Result<Response> {
    Ok(moment.show(deals.deal(&caller, org, Place { client: Some(client), deal }, moment.as_of).await?))
}

/// Change a deal of a client.
#[utoipa::path(patch, path = "/organizations/{org}/clients/{client}/deals/{deal}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Deal, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_deal_of_client(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, client, deal)): Path<(OrganizationId, ClientId, DealId)>,
    known: IfMatch,
    Json(body): Json<DealPatch>,
) -> Result<Tagged<Deal>> {
    let found = deals.change_deal(&caller, org, Place { client: Some(client), deal }, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Put a deal of a client into the trash; `?purge=true` removes it and its payments for good.
#[utoipa::path(delete, path = "/organizations/{org}/clients/{client}/deals/{deal}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
        Removal,
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_deal_of_client(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, client, deal)): Path<(OrganizationId, ClientId, DealId)>,
    Query(how): Query<Removal>,
    known: IfMatch,
) -> Result<StatusCode> {
    deals.delete_deal(&caller, org, Place { client: Some(client), deal }, how.purge, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put a deal into a stage, between two others.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/move/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path)),
    responses(
        (status = 200, body = Deal, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn move_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    Json(body): Json<Move>,
) -> Result<Tagged<Deal>> {
    let found = deals.move_deal(&caller, org, deal.into(), body).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Win a deal.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/win/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path)),
    responses(
        (status = 200, body = Deal, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn win_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    body: Option<Json<Closing>>,
) -> Result<Tagged<Deal>> {
    let found = deals.close_deal(&caller, org, deal.into(), DealStatus::Won, body.unwrap_or_default().0).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Lose a deal.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/lose/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path)),
    responses(
        (status = 200, body = Deal, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn lose_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    body: Option<Json<Closing>>,
) -> Result<Tagged<Deal>> {
    let found = deals.close_deal(&caller, org, deal.into(), DealStatus::Lost, body.unwrap_or_default().0).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Open a deal again, in the stage that it came from.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/reopen/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path)),
    responses(
        (status = 200, body = Deal, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn reopen_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    body: Option<Json<Closing>>,
) -> Result<Tagged<Deal>> {
    let found = deals.close_deal(&caller, org, deal.into(), DealStatus::Open, body.unwrap_or_default().0).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Say that a deal is as it says.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/verify/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("deal" = DealId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Deal, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
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

/// Say that a deal is not as it says.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/reject/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("deal" = DealId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Deal, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
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

/// Put a deal aside: it still counts, but is not listed.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/archive/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path)),
    responses(
        (status = 200, body = Deal, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn archive_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
) -> Result<Tagged<Deal>> {
    let found = deals.archive_deal(&caller, org, deal.into(), true).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// List a deal again.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/unarchive/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path)),
    responses(
        (status = 200, body = Deal, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn unarchive_deal(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
) -> Result<Tagged<Deal>> {
    let found = deals.archive_deal(&caller, org, deal.into(), false).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// The stages that a deal went through, newest first.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/stages/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path), SliceParams),
    responses((status = 200, body = Slice<StageChange>), (status = "4XX", body = Problem)),
)]
async fn stage_changes(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    slice: SliceQuery,
) -> Result<Json<Slice<StageChange>>> {
    Ok(Json(deals.stage_changes(&caller, org, deal.into(), slice).await?))
}

/// What was changed about a deal, newest first.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/history/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path), SliceParams),
    responses((status = 200, body = Slice<Change>), (status = "4XX", body = Problem)),
)]
async fn deal_changes(
    State(deals): State<Arc<dyn Deals>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    slice: SliceQuery,
) -> Result<Json<Slice<Change>>> {
    Ok(Json(deals.deal_changes(&caller, org, deal.into(), slice).await?))
}
