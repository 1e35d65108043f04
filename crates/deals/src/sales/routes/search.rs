//! Search.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, Json, Path, Query, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{OrganizationId, Search, SearchHits, SearchParams, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new().routes(routes!(search_organization))
}

/// Search the clients, contacts and deals that the caller may see. Returns the newest ten of each.
#[utoipa::path(get, path = "/organizations/{org}/search/", tag = "crm", responses((status = 200, body = SearchHits)))]
async fn search_organization(
    State(search): State<Arc<dyn Search>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(params): Query<SearchParams>,
) -> Result<Json<SearchHits>> {
    Ok(Json(search.search(&caller, org, params.q).await?))
}
