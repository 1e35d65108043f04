//! Sums over what the caller may see.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, Json, Path, Problem, Query, Result};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::DealsState;
use crate::{
    Conversion, Dashboard, Earned, MonthAmount, OrganizationId, Period, PipelineFilter, PipelineReport, Receivable,
    Reports, Standing,
};

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(pipeline_report))
        .routes(routes!(revenue))
        .routes(routes!(forecast))
        .routes(routes!(conversion))
        .routes(routes!(receivables))
        .routes(routes!(leaderboard))
        .routes(routes!(commission))
        .routes(routes!(dashboard))
}

/// What deals are worth, stage by stage and in each currency.
#[utoipa::path(get, path = "/organizations/{org}/reports/pipeline/", tag = "crm",
    params(("org" = OrganizationId, Path), PipelineFilter),
    responses((status = 200, body = PipelineReport), (status = "4XX", body = Problem)),
)]
async fn pipeline_report(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(period): Query<PipelineFilter>,
) -> Result<Json<PipelineReport>> {
    Ok(Json(reports.pipeline_report(&caller, org, period.pipeline).await?))
}

/// What came and is verified, month by month and in each currency; what went back is taken off.
#[utoipa::path(get, path = "/organizations/{org}/reports/revenue/", tag = "crm",
    params(("org" = OrganizationId, Path), Period),
    responses((status = 200, body = Vec<MonthAmount>), (status = "4XX", body = Problem)),
)]
async fn revenue(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(period): Query<Period>,
) -> Result<Json<Vec<MonthAmount>>> {
    Ok(Json(reports.revenue(&caller, org, period).await?))
}

/// What open deals may bring, by the month in which they are expected.
#[utoipa::path(get, path = "/organizations/{org}/reports/forecast/", tag = "crm",
    params(("org" = OrganizationId, Path)),
    responses((status = 200, body = Vec<MonthAmount>), (status = "4XX", body = Problem)),
)]
async fn forecast(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
) -> Result<Json<Vec<MonthAmount>>> {
    Ok(Json(reports.forecast(&caller, org).await?))
}

/// What became of the deals that were added in a period.
#[utoipa::path(get, path = "/organizations/{org}/reports/conversion/", tag = "crm",
    params(("org" = OrganizationId, Path), Period),
    responses((status = 200, body = Conversion), (status = "4XX", body = Problem)),
)]
async fn conversion(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(period): Query<Period>,
) -> Result<Json<Conversion>> {
    Ok(Json(reports.conversion(&caller, org, period).await?))
}

/// What is still to be paid of deals that were won, by how long ago that was.
#[utoipa::path(get, path = "/organizations/{org}/reports/receivables/", tag = "crm",
    params(("org" = OrganizationId, Path)),
    responses((status = 200, body = Vec<Receivable>), (status = "4XX", body = Problem)),
)]
async fn receivables(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
) -> Result<Json<Vec<Receivable>>> {
    Ok(Json(reports.receivables(&caller, org).await?))
}

/// Who sold most in a period, in each currency.
#[utoipa::path(get, path = "/organizations/{org}/reports/leaderboard/", tag = "crm",
    params(("org" = OrganizationId, Path), Period),
    responses((status = 200, body = Vec<Standing>), (status = "4XX", body = Problem)),
)]
async fn leaderboard(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(period): Query<Period>,
) -> Result<Json<Vec<Standing>>> {
    Ok(Json(reports.leaderboard(&caller, org, period).await?))
}

/// What people earned in a period by money that is verified.
#[utoipa::path(get, path = "/organizations/{org}/reports/commission/", tag = "crm",
    params(("org" = OrganizationId, Path), Period),
    responses((status = 200, body = Vec<Earned>), (status = "4XX", body = Problem)),
)]
async fn commission(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(period): Query<Period>,
) -> Result<Json<Vec<Earned>>> {
    Ok(Json(reports.commission(&caller, org, period).await?))
}

/// What one wants to see first.
#[utoipa::path(get, path = "/organizations/{org}/reports/dashboard/", tag = "crm",
    params(("org" = OrganizationId, Path), Period),
    responses((status = 200, body = Dashboard), (status = "4XX", body = Problem)),
)]
async fn dashboard(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(period): Query<Period>,
) -> Result<Json<Dashboard>> {
    Ok(Json(reports.dashboard(&caller, org, period).await?))
}
