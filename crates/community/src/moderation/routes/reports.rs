//! Reports of posts and comments.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Result, routes};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::{CommentId, GroupId, PostId, ReportId},
    moderation::{NewReport, Report, Reports, Verdict},
    state::CommunityState,
};

/// A decision about a report.
#[derive(Deserialize, ToSchema)]
struct Decision {
    /// The decision.
    verdict: Verdict,
}

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(report_post))
        .routes(routes!(report_comment))
        .routes(routes!(group_reports))
        .routes(routes!(all_reports))
        .routes(routes!(decide_report))
}

/// Report a post to the moderators.
#[utoipa::path(post, path = "/posts/{id}/reports/", tag = "community", responses((status = 201, body = Report)))]
async fn report_post(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(id): Path<PostId>,
    Json(body): Json<NewReport>,
) -> Result<(StatusCode, Json<Report>)> {
    Ok((StatusCode::CREATED, Json(reports.report_post(&caller, id, body).await?)))
}

/// Report a comment to the moderators.
#[utoipa::path(post, path = "/comments/{id}/reports/", tag = "community", responses((status = 201, body = Report)))]
async fn report_comment(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(id): Path<CommentId>,
    Json(body): Json<NewReport>,
) -> Result<(StatusCode, Json<Report>)> {
    Ok((StatusCode::CREATED, Json(reports.report_comment(&caller, id, body).await?)))
}

/// List the open reports in a group. Only moderators may.
#[utoipa::path(get, path = "/groups/{id}/reports/", tag = "community", responses((status = 200, body = Page<Report>)))]
async fn group_reports(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<Report>>> {
    Ok(Json(reports.reports(&caller, Some(id), page).await?))
}

/// List all open reports. Only staff may.
#[utoipa::path(get, path = "/reports/", tag = "community", responses((status = 200, body = Page<Report>)))]
async fn all_reports(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    page: PageQuery,
) -> Result<Json<Page<Report>>> {
    Ok(Json(reports.reports(&caller, None, page).await?))
}

/// Decide a report, and all other open reports of the same post or comment. Only moderators may.
#[utoipa::path(post, path = "/reports/{id}/decision/", tag = "community", responses((status = 204)))]
async fn decide_report(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(id): Path<ReportId>,
    Json(body): Json<Decision>,
) -> Result<StatusCode> {
    reports.decide_report(&caller, id, body.verdict).await?;
    Ok(StatusCode::NO_CONTENT)
}
