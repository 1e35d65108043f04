//! Teams.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{NewTeam, OrganizationId, Team, TeamId, TeamPatch, Teams, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new().routes(routes!(teams, create_team)).routes(routes!(team, change_team, delete_team))
}

/// List the teams of an organization.
///
/// Sorts by `id`, `name`.
#[utoipa::path(get, path = "/organizations/{org}/teams/", tag = "crm", responses((status = 200, body = Page<Team>)))]
async fn teams(
    State(teams): State<Arc<dyn Teams>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Team>>> {
    Ok(Json(teams.teams(&caller, org, page).await?))
}

/// Create a team.
#[utoipa::path(post, path = "/organizations/{org}/teams/", tag = "crm", responses((status = 201, body = Team)))]
async fn create_team(
    State(teams): State<Arc<dyn Teams>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewTeam>,
) -> Result<(StatusCode, Tagged<Team>)> {
    let found = teams.create_team(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Get a team.
#[utoipa::path(get, path = "/organizations/{org}/teams/{team}/", tag = "crm", responses((status = 200, body = Team)))]
async fn team(
    State(teams): State<Arc<dyn Teams>>,
    caller: Caller,
    Path((org, team)): Path<(OrganizationId, TeamId)>,
) -> Result<Tagged<Team>> {
    let found = teams.team(&caller, org, team).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a team.
#[utoipa::path(patch, path = "/organizations/{org}/teams/{team}/", tag = "crm",
    responses((status = 200, body = Team)),
)]
async fn change_team(
    State(teams): State<Arc<dyn Teams>>,
    caller: Caller,
    Path((org, team)): Path<(OrganizationId, TeamId)>,
    known: IfMatch,
    Json(body): Json<TeamPatch>,
) -> Result<Tagged<Team>> {
    let found = teams.change_team(&caller, org, team, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Delete a team without members and subteams.
#[utoipa::path(delete, path = "/organizations/{org}/teams/{team}/", tag = "crm", responses((status = 204)))]
async fn delete_team(
    State(teams): State<Arc<dyn Teams>>,
    caller: Caller,
    Path((org, team)): Path<(OrganizationId, TeamId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    teams.delete_team(&caller, org, team, known).await?;
    Ok(StatusCode::NO_CONTENT)
}
