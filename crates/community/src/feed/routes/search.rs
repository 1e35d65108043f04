//! The search.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, Json, Query, Result, routes};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    feed::{Search, SearchResults},
    state::CommunityState,
};

/// A search query.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SearchFilter {
    /// The words to search for, at most 8.
    #[serde(default)]
    q: String,
    /// The maximum number of results of each kind; 20 by default, at most 100.
    limit: Option<u64>,
}

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().routes(routes!(search))
}

/// Search groups, posts and people visible to the caller. The last word may be a prefix.
#[utoipa::path(get, path = "/search/", tag = "community", responses((status = 200, body = SearchResults)))]
async fn search(
    State(search): State<Arc<dyn Search>>,
    caller: Option<Caller>,
    Query(filter): Query<SearchFilter>,
) -> Result<Json<SearchResults>> {
    Ok(Json(search.search(caller, filter.q, filter.limit.unwrap_or(20)).await?))
}
