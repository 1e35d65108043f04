//! Searching people to write to.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, Json, Person, Query, Result, routes};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::{service::People, state::MessagingState};

/// The default number of results.
const DEFAULT_LIMIT: u64 = 20;

/// What to search for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct UserSearch {
    /// The begin of a user name.
    #[serde(default)]
    q: String,
    /// Number of results: 20 by default, at most 100.
    limit: Option<u64>,
}

/// The users who were found.
#[derive(Serialize, ToSchema)]
#[schema(as = UsersAnswer)]
struct UsersBody {
    /// `true`.
    success: bool,
    /// By their user names.
    users: Vec<Person>,
}

pub(super) fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new().routes(routes!(search_users))
}

/// Search users by the begin of their names: never the caller or blocked people.
#[utoipa::path(get, path = "/search-users/", tag = "messaging", responses((status = 200, body = UsersBody)))]
async fn search_users(
    State(people): State<Arc<dyn People>>,
    caller: Caller,
    Query(search): Query<UserSearch>,
) -> Result<Json<UsersBody>> {
    let users = people.search_users(&caller, search.q, search.limit.unwrap_or(DEFAULT_LIMIT)).await?;
    Ok(Json(UsersBody { success: true, users }))
}
