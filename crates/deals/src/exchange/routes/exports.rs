//! Exports.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use guildhall_kernel::{Caller, Path, Query, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use super::download;
use crate::{Exports, Filter, Format, OrganizationId, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(export_deals))
        .routes(routes!(export_clients))
        .routes(routes!(export_deals_workbook))
        .routes(routes!(export_clients_workbook))
}

/// Export the deals that the caller may see as CSV.
///
/// The filters are those of the list. No cell is a formula, and the table can be imported again.
#[utoipa::path(get, path = "/organizations/{org}/exports/deals.csv", tag = "crm",
    responses((status = 200, content_type = "text/csv", body = String)),
)]
async fn export_deals(
    State(exchange): State<Arc<dyn Exports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
) -> Result<Response> {
    Ok(download(exchange.export_deals(&caller, org, filter, Format::Csv).await?, "deals.csv", Format::Csv))
}

/// Export the clients that the caller may see as CSV.
///
/// The filters are those of the list. No cell is a formula, and the table can be imported again.
#[utoipa::path(get, path = "/organizations/{org}/exports/clients.csv", tag = "crm",
    responses((status = 200, content_type = "text/csv", body = String)),
)]
async fn export_clients(
    State(exchange): State<Arc<dyn Exports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
) -> Result<Response> {
    Ok(download(exchange.export_clients(&caller, org, filter, Format::Csv).await?, "clients.csv", Format::Csv))
}

/// Export the deals that the caller may see as an Excel workbook.
///
/// The filters are those of the list. All cells are text.
#[utoipa::path(get, path = "/organizations/{org}/exports/deals.xlsx", tag = "crm",
    responses(
        (
            status = 200,
            content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            body = Vec<u8>,
        ),
    ),
)]
async fn export_deals_workbook(
    State(exchange): State<Arc<dyn Exports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
) -> Result<Response> {
    Ok(download(exchange.export_deals(&caller, org, filter, Format::Xlsx).await?, "deals.xlsx", Format::Xlsx))
}

/// Export the clients that the caller may see as an Excel workbook.
///
/// The filters are those of the list. All cells are text.
#[utoipa::path(get, path = "/organizations/{org}/exports/clients.xlsx", tag = "crm",
    responses(
        (
            status = 200,
            content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            body = Vec<u8>,
        ),
    ),
)]
async fn export_clients_workbook(
    State(exchange): State<Arc<dyn Exports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
) -> Result<Response> {
    Ok(download(exchange.export_clients(&caller, org, filter, Format::Xlsx).await?, "clients.xlsx", Format::Xlsx))
}
