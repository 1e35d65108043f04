//! Duplicate clients.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, Json, Path, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{Client, ClientId, Duplicate, MergeClients, Merges, OrganizationId, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new().routes(routes!(duplicates)).routes(routes!(merge_clients))
}

/// List possible duplicates: clients with the same name, email address or phone number, at most 50.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/duplicates/", tag = "crm",
    responses((status = 200, body = Vec<Duplicate>)),
)]
async fn duplicates(
    State(merges): State<Arc<dyn Merges>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
) -> Result<Json<Vec<Duplicate>>> {
    Ok(Json(merges.duplicates(&caller, org, client).await?))
}

/// Merge another client into this one, which takes over its deals, payments, contacts, tasks and activities.
///
/// Requests for the other client then return 404 `client_merged` with `merged_into`.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/merge/", tag = "crm",
    responses((status = 200, body = Client)),
)]
async fn merge_clients(
    State(merges): State<Arc<dyn Merges>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    Json(body): Json<MergeClients>,
) -> Result<Tagged<Client>> {
    let found = merges.merge_clients(&caller, org, client, body.client_id).await?;
    Ok(Tagged(found.updated_at.into(), found))
}
