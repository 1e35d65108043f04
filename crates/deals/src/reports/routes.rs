//! The routes.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, Json, Path, Query, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    CommissionTotal, Conversion, Dashboard, LeaderboardEntry, MonthAmount, OrganizationId, Period, PipelineFilter,
    PipelineReport, Receivable, Reports, state::DealsState,
};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
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

/// Get the values of the deals of a pipeline, by stage and currency.
#[utoipa::path(get, path = "/organizations/{org}/reports/pipeline/", tag = "crm",
    responses((status = 200, body = PipelineReport)),
)]
async fn pipeline_report(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<PipelineFilter>,
) -> Result<Json<PipelineReport>> {
    Ok(Json(reports.pipeline_report(&caller, org, filter.pipeline).await?))
}

/// Get the verified revenue of a period, by month and currency, less refunds and reversals.
#[utoipa::path(get, path = "/organizations/{org}/reports/revenue/", tag = "crm",
    responses((status = 200, body = Vec<MonthAmount>)),
)]
async fn revenue(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(period): Query<Period>,
) -> Result<Json<Vec<MonthAmount>>> {
    Ok(Json(reports.revenue(&caller, org, period).await?))
}

/// Get the values of open deals, by the month of their expected close date and by currency.
#[utoipa::path(get, path = "/organizations/{org}/reports/forecast/", tag = "crm",
    responses((status = 200, body = Vec<MonthAmount>)),
)]
async fn forecast(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
) -> Result<Json<Vec<MonthAmount>>> {
    Ok(Json(reports.forecast(&caller, org).await?))
}

/// Get the outcome of the deals created in a period.
#[utoipa::path(get, path = "/organizations/{org}/reports/conversion/", tag = "crm",
    responses((status = 200, body = Conversion)),
)]
async fn conversion(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(period): Query<Period>,
) -> Result<Json<Conversion>> {
    Ok(Json(reports.conversion(&caller, org, period).await?))
}

/// Get the open balances of won deals, by age and currency.
#[utoipa::path(get, path = "/organizations/{org}/reports/receivables/", tag = "crm",
    responses((status = 200, body = Vec<Receivable>)),
)]
async fn receivables(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
) -> Result<Json<Vec<Receivable>>> {
    Ok(Json(reports.receivables(&caller, org).await?))
}

/// Get the sales of a period by member, per currency, in descending order.
#[utoipa::path(get, path = "/organizations/{org}/reports/leaderboard/", tag = "crm",
    responses((status = 200, body = Vec<LeaderboardEntry>)),
)]
async fn leaderboard(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(period): Query<Period>,
) -> Result<Json<Vec<LeaderboardEntry>>> {
    Ok(Json(reports.leaderboard(&caller, org, period).await?))
}

/// Get the commissions of a period by member, earned on verified payments.
#[utoipa::path(get, path = "/organizations/{org}/reports/commission/", tag = "crm",
    responses((status = 200, body = Vec<CommissionTotal>)),
)]
async fn commission(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(period): Query<Period>,
) -> Result<Json<Vec<CommissionTotal>>> {
    Ok(Json(reports.commission(&caller, org, period).await?))
}

/// Get the key figures of an organization.
#[utoipa::path(get, path = "/organizations/{org}/reports/dashboard/", tag = "crm",
    responses((status = 200, body = Dashboard)),
)]
async fn dashboard(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(period): Query<Period>,
) -> Result<Json<Dashboard>> {
    Ok(Json(reports.dashboard(&caller, org, period).await?))
}
