use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, UserId};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::AccountsState;
use crate::{Accounts, DirectoryEntry, UserFilter};

pub(super) fn router() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new().routes(routes!(users)).routes(routes!(user, delete_user))
}

/// The people who may sign in; for staff everybody, with what only staff see. Sorts by `username`, `id`, `date_joined`.
#[utoipa::path(get, path = "/users/", tag = "accounts", params(UserFilter, PageParams), responses(
    (status = 200, body = Page<DirectoryEntry>),
    (status = "4XX", body = Problem),
))]
async fn users(
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    Query(filter): Query<UserFilter>,
    page: PageQuery,
) -> Result<Json<Page<DirectoryEntry>>> {
    Ok(Json(accounts.users(&caller, filter, page).await?))
}

/// One of the people who may sign in.
#[utoipa::path(get, path = "/users/{id}/", tag = "accounts", params(("id" = UserId, Path)), responses(
    (status = 200, body = DirectoryEntry),
    (status = "4XX", body = Problem),
))]
async fn user(
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<Json<DirectoryEntry>> {
    Ok(Json(accounts.user(&caller, id).await?))
}

/// Remove a person, for staff.
#[utoipa::path(delete, path = "/users/{id}/", tag = "accounts", params(("id" = UserId, Path)), responses(
    (status = 204),
    (status = 409, description = "`last_superuser`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn delete_user(
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<StatusCode> {
    accounts.delete_user(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
