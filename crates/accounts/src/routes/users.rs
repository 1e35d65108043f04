use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Problem, Query, Result, UserId, routes};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;

use super::AccountsState;
use crate::{Accounts, DirectoryEntry, UserFilter};

pub(super) fn router() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new().routes(routes!(users)).routes(routes!(user, delete_user)).routes(routes!(erase_user))
}

/// List active users; for staff all users, with details. Sortable by `username`, `id`, `date_joined`.
#[utoipa::path(get, path = "/users/", tag = "accounts", responses((status = 200, body = Page<DirectoryEntry>)))]
async fn users(
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    Query(filter): Query<UserFilter>,
    page: PageQuery,
) -> Result<Json<Page<DirectoryEntry>>> {
    Ok(Json(accounts.users(&caller, filter, page).await?))
}

/// Get a user of the directory.
#[utoipa::path(get, path = "/users/{id}/", tag = "accounts", responses((status = 200, body = DirectoryEntry)))]
async fn user(
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<Json<DirectoryEntry>> {
    Ok(Json(accounts.user(&caller, id).await?))
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
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    Path(id): Path<UserId>,
    Query(params): Query<DeleteUserParams>,
) -> Result<StatusCode> {
    accounts.delete_user(&caller, id, params.reassign_to).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Erase a user's personal data; staff only. Removes name, email address and credentials; content is kept.
#[utoipa::path(post, path = "/users/{id}/erase/", tag = "accounts",
    responses((status = 202), (status = 409, description = "`last_superuser`", body = Problem)),
)]
async fn erase_user(
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<StatusCode> {
    accounts.erase_user(&caller, id).await?;
    Ok(StatusCode::ACCEPTED)
}
