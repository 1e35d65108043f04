use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{
    Caller, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Slice, SliceParams, SliceQuery,
    Tagged, UserId,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::AccountsState;
use crate::{Account, AccountChange, AccountFilter, NewAccount, Session, Staff};

pub(super) fn router() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new()
        .routes(routes!(all_accounts, create_account))
        .routes(routes!(account, change_account))
        .routes(routes!(sessions_of, end_sessions_of))
        .routes(routes!(send_reset))
        .routes(routes!(remove_second_factor))
}

/// Every account, for staff. Sorts by `username`, `email`, `id`, `date_joined`.
#[utoipa::path(get, path = "/admin/users/", tag = "staff", params(AccountFilter, PageParams), responses(
    (status = 200, body = Page<Account>),
    (status = "4XX", body = Problem),
))]
async fn all_accounts(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Query(filter): Query<AccountFilter>,
    page: PageQuery,
) -> Result<Json<Page<Account>>> {
    Ok(Json(staff.all_accounts(&caller, filter, page).await?))
}

/// Make an account for somebody, who gets a link to choose a password with.
#[utoipa::path(post, path = "/admin/users/", tag = "staff", responses(
    (status = 201, body = Account),
    (status = 409, description = "`username_taken`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn create_account(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Json(new): Json<NewAccount>,
) -> Result<(StatusCode, Json<Account>)> {
    Ok((StatusCode::CREATED, Json(staff.create_account(&caller, new).await?)))
}

/// One account.
#[utoipa::path(get, path = "/admin/users/{id}/", tag = "staff", params(("id" = UserId, Path)), responses(
    (status = 200, body = Account, headers(("ETag" = String, description = "The version"))),
    (status = "4XX", body = Problem),
))]
async fn account(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<Tagged<Account>> {
    let account = staff.account(&caller, id).await?;
    Ok(Tagged(account.updated_at.into(), account))
}

/// Change whether somebody may sign in, and their roles.
#[utoipa::path(patch, path = "/admin/users/{id}/", tag = "staff",
    params(
        ("id" = UserId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Account, headers(("ETag" = String, description = "The version"))),
        (status = 403, description = "`not_superuser`", body = Problem),
        (status = 409, description = "`last_superuser`", body = Problem),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_account(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Path(id): Path<UserId>,
    known: IfMatch,
    Json(change): Json<AccountChange>,
) -> Result<Tagged<Account>> {
    let account = staff.change_account(&caller, id, change, known).await?;
    Ok(Tagged(account.updated_at.into(), account))
}

/// The devices that somebody is signed in on, newest first.
#[utoipa::path(get, path = "/admin/users/{id}/sessions/", tag = "staff", params(("id" = UserId, Path), SliceParams),
    responses(
        (status = 200, body = Slice<Session>),
        (status = "4XX", body = Problem),
    ),
)]
async fn sessions_of(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Path(id): Path<UserId>,
    slice: SliceQuery,
) -> Result<Json<Slice<Session>>> {
    Ok(Json(staff.sessions_of(&caller, id, slice).await?))
}

/// Sign somebody out everywhere.
#[utoipa::path(delete, path = "/admin/users/{id}/sessions/", tag = "staff", params(("id" = UserId, Path)), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn end_sessions_of(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<StatusCode> {
    staff.end_sessions_of(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send somebody a link to choose a new password with.
#[utoipa::path(post, path = "/admin/users/{id}/send-reset/", tag = "staff", params(("id" = UserId, Path)), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn send_reset(State(staff): State<Arc<dyn Staff>>, caller: Caller, Path(id): Path<UserId>) -> Result<StatusCode> {
    staff.send_reset(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take the second factor of somebody away who has lost it.
#[utoipa::path(delete, path = "/admin/users/{id}/totp/", tag = "staff", params(("id" = UserId, Path)), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn remove_second_factor(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<StatusCode> {
    staff.remove_second_factor(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
