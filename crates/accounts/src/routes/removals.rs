use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Path, Problem, Query, Result, UserId, routes};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;

use crate::{PasswordProof, Removals, state::AccountsState};

/// The caller's own account.
pub(super) fn own() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new().routes(routes!(delete_me)).routes(routes!(export_me))
}

/// Any user's account, for staff.
pub(super) fn by_staff() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new().routes(routes!(delete_user)).routes(routes!(erase_user))
}

/// Delete the signed-in user.
#[utoipa::path(delete, path = "/auth/me/", tag = "accounts",
    responses(
        (status = 204),
        (status = 409, description = "`last_superuser`, or `protected` with `blockers`", body = Problem),
    ),
)]
async fn delete_me(
    State(removals): State<Arc<dyn Removals>>,
    caller: Caller,
    Json(proof): Json<PasswordProof>,
) -> Result<StatusCode> {
    removals.delete_me(&caller, proof).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Export all data stored about the signed-in user, without secrets.
#[utoipa::path(get, path = "/auth/me/export/", tag = "accounts", responses((status = 200, body = Object)))]
async fn export_me(State(removals): State<Arc<dyn Removals>>, caller: Caller) -> Result<Json<serde_json::Value>> {
    Ok(Json(removals.export_me(&caller).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeleteUserParams {
    /// The user to whom everything that needs an owner is reassigned.
    reassign_to: Option<UserId>,
}

/// Delete a user; staff only.
#[utoipa::path(delete, path = "/users/{id}/", tag = "accounts",
    responses(
        (status = 204),
        (status = 409, description = "`last_superuser`, or `protected` with `blockers`", body = Problem),
    ),
)]
async fn delete_user(
    State(removals): State<Arc<dyn Removals>>,
    caller: Caller,
    Path(id): Path<UserId>,
    Query(params): Query<DeleteUserParams>,
) -> Result<StatusCode> {
    removals.delete_user(&caller, id, params.reassign_to).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Erase a user's personal data; staff only. Removes name, email address and credentials; content is kept.
#[utoipa::path(post, path = "/users/{id}/erase/", tag = "accounts",
    responses((status = 202), (status = 409, description = "`last_superuser`", body = Problem)),
)]
async fn erase_user(
    State(removals): State<Arc<dyn Removals>>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<StatusCode> {
    removals.erase_user(&caller, id).await?;
    Ok(StatusCode::ACCEPTED)
}
