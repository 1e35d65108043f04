//! Clients and the people there.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{
    Caller, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Slice, SliceParams, SliceQuery,
    Tagged,
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{DealsState, Removal};
use crate::{
    Change, Client, ClientId, ClientPatch, Clients, Contact, ContactId, ContactPatch, DeletionPreview, Duplicate,
    Filter, Merging, NewClient, NewContact, OrganizationId,
};

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(clients, create_client))
        .routes(routes!(client, change_client, delete_client))
        .routes(routes!(archive_client))
        .routes(routes!(unarchive_client))
        .routes(routes!(preview_client))
        .routes(routes!(duplicates))
        .routes(routes!(merge_clients))
        .routes(routes!(client_changes))
        .routes(routes!(contacts, create_contact))
        .routes(routes!(contact, change_contact, delete_contact))
}

/// The clients that the caller may see. Sorts by `id`, `name`, `created_at`, `updated_at`; narrowed by `q` (also `search`), `owner` (`me`, or an account), `email`, `archived` (`false`, `true`, `all`) and the moments with `__gte`, `__lte` and so on. An unknown filter is 400.
#[utoipa::path(get, path = "/organizations/{org}/clients/", tag = "crm",
    params(("org" = OrganizationId, Path), PageParams, Filter),
    responses((status = 200, body = Page<Client>), (status = "4XX", body = Problem)),
)]
async fn clients(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Client>>> {
    Ok(Json(clients.clients(&caller, org, filter, page).await?))
}

/// Add a client.
#[utoipa::path(post, path = "/organizations/{org}/clients/", tag = "crm",
    params(("org" = OrganizationId, Path)),
    responses((status = 201, body = Client), (status = "4XX", body = Problem)),
)]
async fn create_client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewClient>,
) -> Result<(StatusCode, Tagged<Client>)> {
    let found = clients.create_client(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// A client.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path)),
    responses(
        (status = 200, body = Client, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
) -> Result<Tagged<Client>> {
    let found = clients.client(&caller, org, client).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a client.
#[utoipa::path(patch, path = "/organizations/{org}/clients/{client}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Client, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    known: IfMatch,
    Json(body): Json<ClientPatch>,
) -> Result<Tagged<Client>> {
    let found = clients.change_client(&caller, org, client, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Put a client into the trash with its contacts and deals; `?purge=true` removes them and their payments for good. With the `token` of a preview only if nothing has changed since (409 `preview_stale`).
#[utoipa::path(delete, path = "/organizations/{org}/clients/{client}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
        Removal,
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    Query(how): Query<Removal>,
    known: IfMatch,
) -> Result<StatusCode> {
    clients.delete_client(&caller, org, client, how.purge, how.token, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put a client aside: it still counts, but is not listed.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/archive/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path)),
    responses(
        (status = 200, body = Client, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn archive_client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
) -> Result<Tagged<Client>> {
    let found = clients.archive_client(&caller, org, client, true).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// List a client again.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/unarchive/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path)),
    responses(
        (status = 200, body = Client, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn unarchive_client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
) -> Result<Tagged<Client>> {
    let found = clients.archive_client(&caller, org, client, false).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// How something would go.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Preview {
    /// For good, with what of it lies in the trash already.
    #[serde(default)]
    purge: bool,
}

/// What would go with a client.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/deletion-preview/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path), Preview),
    responses((status = 200, body = DeletionPreview), (status = "4XX", body = Problem)),
)]
async fn preview_client(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    Query(how): Query<Preview>,
) -> Result<Json<DeletionPreview>> {
    Ok(Json(clients.preview_client(&caller, org, client, how.purge).await?))
}

/// What was changed about a client, newest first.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/history/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path), SliceParams),
    responses((status = 200, body = Slice<Change>), (status = "4XX", body = Problem)),
)]
async fn client_changes(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    slice: SliceQuery,
) -> Result<Json<Slice<Change>>> {
    Ok(Json(clients.client_changes(&caller, org, client, slice).await?))
}

/// The people at a client.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/contacts/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path), PageParams),
    responses((status = 200, body = Page<Contact>), (status = "4XX", body = Problem)),
)]
async fn contacts(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    page: PageQuery,
) -> Result<Json<Page<Contact>>> {
    Ok(Json(clients.contacts(&caller, org, client, page).await?))
}

/// Add a person at a client.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/contacts/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path)),
    responses((status = 201, body = Contact), (status = "4XX", body = Problem)),
)]
async fn create_contact(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    Json(body): Json<NewContact>,
) -> Result<(StatusCode, Tagged<Contact>)> {
    let found = clients.create_contact(&caller, org, client, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// A person at a client.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/contacts/{contact}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path), ("contact" = ContactId, Path)),
    responses(
        (status = 200, body = Contact, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn contact(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client, contact)): Path<(OrganizationId, ClientId, ContactId)>,
) -> Result<Tagged<Contact>> {
    let found = clients.contact(&caller, org, client, contact).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a person at a client.
#[utoipa::path(patch, path = "/organizations/{org}/clients/{client}/contacts/{contact}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("contact" = ContactId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Contact, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_contact(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client, contact)): Path<(OrganizationId, ClientId, ContactId)>,
    known: IfMatch,
    Json(body): Json<ContactPatch>,
) -> Result<Tagged<Contact>> {
    let found = clients.change_contact(&caller, org, client, contact, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Put a person at a client into the trash.
#[utoipa::path(delete, path = "/organizations/{org}/clients/{client}/contacts/{contact}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("contact" = ContactId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_contact(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client, contact)): Path<(OrganizationId, ClientId, ContactId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    clients.delete_contact(&caller, org, client, contact, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Clients that may be the same as one: with its name, address or telephone number; at most 50.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/duplicates/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path)),
    responses((status = 200, body = Vec<Duplicate>), (status = "4XX", body = Problem)),
)]
async fn duplicates(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
) -> Result<Json<Vec<Duplicate>>> {
    Ok(Json(clients.duplicates(&caller, org, client).await?))
}

/// Make one client of two: what hangs on the other hangs on this one, with its history and its ledger. The other is then 404 `client_merged`, with `merged_into`.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/merge/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path)),
    responses(
        (status = 200, body = Client, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn merge_clients(
    State(clients): State<Arc<dyn Clients>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    Json(body): Json<Merging>,
) -> Result<Tagged<Client>> {
    let found = clients.merge_clients(&caller, org, client, body.client_id).await?;
    Ok(Tagged(found.updated_at.into(), found))
}
