//! Clients.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, IfMatch, Json, Page, PageQuery, Path, Query, Result, Tagged, routes,
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Change, Client, ClientId, ClientPatch, Clients, DeletionPreview, Filter, NewClient, OrganizationId,
    extract::{
        Removal,
        target::{ClientPath, OrganizationPath},
    },
    state::DealsState,
};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(clients, create_client))
        .routes(routes!(client, change_client, delete_client))
        .routes(routes!(archive_client))
        .routes(routes!(unarchive_client))
        .routes(routes!(preview_client))
        .routes(routes!(client_changes))
}

/// List the clients that the caller may see.
///
/// Sorts by `id`, `name`, `created_at`, `updated_at`. Filters: `q` (or `search`), `owner` (`me` or a user ID), `email`,
/// `archived` (`false`, `true` or `all`), `id`, `created_at` and `updated_at`, the latter with `__gte`, `__lte` and so
/// on, and custom fields as `cf_` and the key. An unknown filter is an error (400).
#[utoipa::path(get, path = "/organizations/{org}/clients/", tag = "crm",
    responses((status = 200, body = Page<Client>)),
)]
pub(crate) async fn clients(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    OrganizationPath(org): OrganizationPath,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Client>>> {
    Ok(Json(clients.clients(&caller, org, filter, page).await?))
}

/// Create a client.
#[utoipa::path(post, path = "/organizations/{org}/clients/", tag = "crm", responses((status = 201, body = Client)))]
pub(crate) async fn create_client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    OrganizationPath(org): OrganizationPath,
    Json(body): Json<NewClient>,
) -> Result<(StatusCode, Tagged<Client>)> {
    let found = clients.create_client(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Get a client.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/", tag = "crm",
    responses((status = 200, body = Client)),
)]
pub(crate) async fn client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    ClientPath { org, client }: ClientPath,
) -> Result<Tagged<Client>> {
    let found = clients.client(&caller, org, client).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a client.
#[utoipa::path(patch, path = "/organizations/{org}/clients/{client}/", tag = "crm",
    responses((status = 200, body = Client)),
)]
pub(crate) async fn change_client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    ClientPath { org, client }: ClientPath,
    known: IfMatch,
    Json(body): Json<ClientPatch>,
) -> Result<Tagged<Client>> {
    let found = clients.change_client(&caller, org, client, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Move a client to the trash with its contacts and deals.
///
/// `?purge=true` removes them and their payments permanently. With the `token` of a preview, the request fails with 409
/// `preview_stale` if something has changed since.
#[utoipa::path(delete, path = "/organizations/{org}/clients/{client}/", tag = "crm", responses((status = 204)))]
pub(crate) async fn delete_client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    ClientPath { org, client }: ClientPath,
    Query(how): Query<Removal>,
    known: IfMatch,
) -> Result<StatusCode> {
    clients.delete_client(&caller, org, client, how.purge, how.token, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Archive a client. It is hidden from lists but still counts in reports.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/archive/", tag = "crm",
    responses((status = 200, body = Client)),
)]
async fn archive_client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
) -> Result<Tagged<Client>> {
    let found = clients.archive_client(&caller, org, client, true).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Unarchive a client.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/unarchive/", tag = "crm",
    responses((status = 200, body = Client)),
)]
async fn unarchive_client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
) -> Result<Tagged<Client>> {
    let found = clients.archive_client(&caller, org, client, false).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Options of a deletion preview.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Preview {
    /// Preview permanent removal, including what is already in the trash.
    #[serde(default)]
    purge: bool,
}

/// Preview what deleting a client removes.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/deletion-preview/", tag = "crm",
    responses((status = 200, body = DeletionPreview)),
)]
async fn preview_client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    Query(how): Query<Preview>,
) -> Result<Json<DeletionPreview>> {
    Ok(Json(clients.preview_client(&caller, org, client, how.purge).await?))
}

/// List the audit log of a client, newest first.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/history/", tag = "crm",
    responses((status = 200, body = CursorPage<Change>)),
)]
async fn client_changes(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<Change>>> {
    Ok(Json(clients.client_changes(&caller, org, client, cursor).await?))
}
