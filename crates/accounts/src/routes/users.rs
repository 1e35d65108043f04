use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, UserId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::AccountsState;
use crate::{Accounts, DirectoryEntry, UserFilter};

pub(super) fn router() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new().routes(routes!(users)).routes(routes!(user, delete_user)).routes(routes!(erase_user))
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

/// Who takes over.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Succession {
    /// Who gets what the person has and what cannot be without an owner.
    reassign_to: Option<UserId>,
}

/// Remove a person, for staff.
#[utoipa::path(delete, path = "/users/{id}/", tag = "accounts", params(("id" = UserId, Path), Succession), responses(
    (status = 204),
    (status = 409, description = "`last_superuser`, or `protected` with `blockers`: what keeps them", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn delete_user(
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    Path(id): Path<UserId>,
    Query(succession): Query<Succession>,
) -> Result<StatusCode> {
    accounts.delete_user(&caller, id, succession.reassign_to).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Erase a person, for staff: the name, the address and all that they sign in with go, what they made
/// stays without them.
#[utoipa::path(post, path = "/users/{id}/erase/", tag = "accounts", params(("id" = UserId, Path)), responses(
    (status = 202),
    (status = 409, description = "`last_superuser`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn erase_user(
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<StatusCode> {
    accounts.erase_user(&caller, id).await?;
    Ok(StatusCode::ACCEPTED)
}
