use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_files::Form;
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Problem, Query, Result, Tagged, UserId, routes};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{Account, AccountPatch, Accounts, DirectoryEntry, NewUser, UserFilter, state::AccountsState};

/// The caller's own account.
pub(super) fn own() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(me, change_me))
        .routes(routes!(set_picture, remove_picture))
}

/// The directory of users.
pub(super) fn directory() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new().routes(routes!(users)).routes(routes!(user))
}

/// Register an account. The response does not disclose whether the email address is already in use.
#[utoipa::path(post, path = "/auth/register/", tag = "accounts", security(()),
    responses((status = 201, body = Account), (status = 409, description = "`username_taken`", body = Problem)),
)]
async fn register(
    State(accounts): State<Arc<dyn Accounts>>,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Json<Account>)> {
    Ok((StatusCode::CREATED, Json(accounts.register(new).await?)))
}

/// Get the signed-in user.
#[utoipa::path(get, path = "/auth/me/", tag = "accounts", responses((status = 200, body = Account)))]
async fn me(State(accounts): State<Arc<dyn Accounts>>, caller: Caller) -> Result<Tagged<Account>> {
    let account = accounts.me(&caller).await?;
    Ok(Tagged(account.updated_at.into(), account))
}

/// Update the signed-in user.
#[utoipa::path(patch, path = "/auth/me/", tag = "accounts", responses((status = 200, body = Account)))]
async fn change_me(
    State(accounts): State<Arc<dyn Accounts>>,
    caller: Caller,
    if_match: IfMatch,
    Json(patch): Json<AccountPatch>,
) -> Result<Tagged<Account>> {
    let account = accounts.change_me(&caller, patch, if_match).await?;
    Ok(Tagged(account.updated_at.into(), account))
}

/// A picture to upload: PNG, JPEG, WebP or GIF.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form in OpenAPI")]
struct UserPictureForm {
    /// The picture file.
    #[schema(format = Binary)]
    image: String,
}

/// Set the picture of the signed-in user. The image is cropped to a square, resized and stripped of metadata.
#[utoipa::path(put, path = "/auth/me/picture/", tag = "accounts",
    request_body(content = UserPictureForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Account)),
)]
async fn set_picture(State(accounts): State<Arc<dyn Accounts>>, caller: Caller, form: Form) -> Result<Json<Account>> {
    Ok(Json(accounts.set_picture(&caller, form.file("image")?.bytes).await?))
}

/// Remove the picture of the signed-in user.
#[utoipa::path(delete, path = "/auth/me/picture/", tag = "accounts", responses((status = 204)))]
async fn remove_picture(State(accounts): State<Arc<dyn Accounts>>, caller: Caller) -> Result<StatusCode> {
    accounts.remove_picture(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
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
