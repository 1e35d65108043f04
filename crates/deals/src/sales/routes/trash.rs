//! The trash.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{Deletion, DeletionId, OrganizationId, Trash, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new().routes(routes!(trash)).routes(routes!(restore)).routes(routes!(purge))
}

/// List the deletions in the trash: all of them for members who may restore, otherwise the caller's own.
#[utoipa::path(get, path = "/organizations/{org}/trash/", tag = "crm",
    responses((status = 200, body = Page<Deletion>)),
)]
async fn trash(
    State(trash): State<Arc<dyn Trash>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Deletion>>> {
    Ok(Json(trash.trash(&caller, org, page).await?))
}

/// Restore everything that a deletion removed, and nothing else.
///
/// Fails with 409 `duplicate` if another client has the same email address, or another contact is primary now.
#[utoipa::path(post, path = "/organizations/{org}/trash/{deletion}/restore/", tag = "crm",
    responses((status = 200, body = Deletion)),
)]
async fn restore(
    State(trash): State<Arc<dyn Trash>>,
    caller: Caller,
    Path((org, deletion)): Path<(OrganizationId, DeletionId)>,
) -> Result<Json<Deletion>> {
    Ok(Json(trash.restore(&caller, org, deletion).await?))
}

/// Permanently remove everything that a deletion removed.
#[utoipa::path(delete, path = "/organizations/{org}/trash/{deletion}/", tag = "crm", responses((status = 204)))]
async fn purge(
    State(trash): State<Arc<dyn Trash>>,
    caller: Caller,
    Path((org, deletion)): Path<(OrganizationId, DeletionId)>,
) -> Result<StatusCode> {
    trash.purge(&caller, org, deletion).await?;
    Ok(StatusCode::NO_CONTENT)
}
