//! Custom fields of clients and deals.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    CustomField, CustomFieldId, CustomFieldPatch, CustomFields, NewCustomField, OrganizationId, state::DealsState,
};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new().routes(routes!(custom_fields, create_custom_field)).routes(routes!(
        custom_field,
        change_custom_field,
        delete_custom_field
    ))
}

/// List the custom fields of an organization.
///
/// Their values are in the `custom` object of clients and deals. Lists can be filtered by them with `cf_` and the key.
#[utoipa::path(get, path = "/organizations/{org}/custom-fields/", tag = "crm",
    responses((status = 200, body = Page<CustomField>)),
)]
async fn custom_fields(
    State(fields): State<Arc<dyn CustomFields>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<CustomField>>> {
    Ok(Json(fields.custom_fields(&caller, org, page).await?))
}

/// Create a custom field.
#[utoipa::path(post, path = "/organizations/{org}/custom-fields/", tag = "crm",
    responses((status = 201, body = CustomField)),
)]
async fn create_custom_field(
    State(fields): State<Arc<dyn CustomFields>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Json(body): Json<NewCustomField>,
) -> Result<(StatusCode, Tagged<CustomField>)> {
    let found = fields.create_custom_field(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Get a custom field.
#[utoipa::path(get, path = "/organizations/{org}/custom-fields/{field}/", tag = "crm",
    responses((status = 200, body = CustomField)),
)]
async fn custom_field(
    State(fields): State<Arc<dyn CustomFields>>,
    caller: Caller,
    Path((org, field)): Path<(OrganizationId, CustomFieldId)>,
) -> Result<Tagged<CustomField>> {
    let found = fields.custom_field(&caller, org, field).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a custom field. Its type cannot be changed.
#[utoipa::path(patch, path = "/organizations/{org}/custom-fields/{field}/", tag = "crm",
    responses((status = 200, body = CustomField)),
)]
async fn change_custom_field(
    State(fields): State<Arc<dyn CustomFields>>,
    caller: Caller,
    Path((org, field)): Path<(OrganizationId, CustomFieldId)>,
    known: IfMatch,
    Json(body): Json<CustomFieldPatch>,
) -> Result<Tagged<CustomField>> {
    let found = fields.change_custom_field(&caller, org, field, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Delete a custom field with all its values.
#[utoipa::path(delete, path = "/organizations/{org}/custom-fields/{field}/", tag = "crm", responses((status = 204)))]
async fn delete_custom_field(
    State(fields): State<Arc<dyn CustomFields>>,
    caller: Caller,
    Path((org, field)): Path<(OrganizationId, CustomFieldId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    fields.delete_custom_field(&caller, org, field, known).await?;
    Ok(StatusCode::NO_CONTENT)
}
