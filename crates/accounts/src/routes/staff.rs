use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, IfMatch, Json, Page, PageQuery, Path, Problem, Query, Result, Tagged, UserId,
    routes,
};
use utoipa_axum::router::OpenApiRouter;

use crate::{Account, AccountChange, AccountFilter, NewAccount, Session, Staff, state::AccountsState};

pub(super) fn routes() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new()
        .routes(routes!(all_accounts, create_account))
        .routes(routes!(account, change_account))
        .routes(routes!(sessions_of, end_sessions_of))
        .routes(routes!(send_reset))
        .routes(routes!(remove_picture_of))
        .routes(routes!(remove_second_factor))
}

/// List all accounts; staff only. Sortable by `username`, `email`, `id`, `date_joined`.
#[utoipa::path(get, path = "/admin/users/", tag = "staff", responses((status = 200, body = Page<Account>)))]
async fn all_accounts(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Query(filter): Query<AccountFilter>,
    page: PageQuery,
) -> Result<Json<Page<Account>>> {
    Ok(Json(staff.all_accounts(&caller, filter, page).await?))
}

/// Create an account. The user receives an email with a link to choose a password.
#[utoipa::path(post, path = "/admin/users/", tag = "staff",
    responses((status = 201, body = Account), (status = 409, description = "`username_taken`", body = Problem)),
)]
async fn create_account(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Json(new): Json<NewAccount>,
) -> Result<(StatusCode, Json<Account>)> {
    Ok((StatusCode::CREATED, Json(staff.create_account(&caller, new).await?)))
}

/// Get an account.
#[utoipa::path(get, path = "/admin/users/{id}/", tag = "staff", responses((status = 200, body = Account)))]
async fn account(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<Tagged<Account>> {
    let account = staff.account(&caller, id).await?;
    Ok(Tagged(account.updated_at.into(), account))
}

/// Change the status and roles of an account.
#[utoipa::path(patch, path = "/admin/users/{id}/", tag = "staff",
    responses(
        (status = 200, body = Account),
        (status = 403, description = "`not_superuser`", body = Problem),
        (status = 409, description = "`last_superuser`", body = Problem),
    ),
)]
async fn change_account(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Path(id): Path<UserId>,
    if_match: IfMatch,
    Json(change): Json<AccountChange>,
) -> Result<Tagged<Account>> {
    let account = staff.change_account(&caller, id, change, if_match).await?;
    Ok(Tagged(account.updated_at.into(), account))
}

/// List the sessions of a user, newest first.
#[utoipa::path(get, path = "/admin/users/{id}/sessions/", tag = "staff",
    responses((status = 200, body = CursorPage<Session>)),
)]
async fn sessions_of(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Path(id): Path<UserId>,
    query: CursorQuery,
) -> Result<Json<CursorPage<Session>>> {
    Ok(Json(staff.sessions_of(&caller, id, query).await?))
}

/// End all sessions of a user.
#[utoipa::path(delete, path = "/admin/users/{id}/sessions/", tag = "staff", responses((status = 204)))]
async fn end_sessions_of(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<StatusCode> {
    staff.end_sessions_of(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a user a password reset link.
#[utoipa::path(post, path = "/admin/users/{id}/send-reset/", tag = "staff", responses((status = 204)))]
async fn send_reset(State(staff): State<Arc<dyn Staff>>, caller: Caller, Path(id): Path<UserId>) -> Result<StatusCode> {
    staff.send_reset(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove the picture of a user.
#[utoipa::path(delete, path = "/admin/users/{id}/picture/", tag = "staff", responses((status = 204)))]
async fn remove_picture_of(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<StatusCode> {
    staff.remove_picture_of(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove the second factor of a user who has lost it.
#[utoipa::path(delete, path = "/admin/users/{id}/totp/", tag = "staff", responses((status = 204)))]
async fn remove_second_factor(
    State(staff): State<Arc<dyn Staff>>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<StatusCode> {
    staff.remove_second_factor(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
