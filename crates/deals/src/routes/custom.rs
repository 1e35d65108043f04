//! Fields that an organization adds to its clients and deals.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Result, Tagged};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::DealsState;
use crate::{CustomField, CustomFieldId, CustomFieldPatch, CustomFields, NewCustomField, OrganizationId};

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new().routes(routes!(custom_fields, create_custom_field)).routes(routes!(
        custom_field,
        change_custom_field,
        delete_custom_field
    ))
}

/// The fields that the organization has added to its clients and deals. What they say stands in `custom`; lists are narrowed by `cf_` and the key, as by any field.
#[utoipa::path(get, path = "/organizations/{org}/custom-fields/", tag = "crm",
    params(("org" = OrganizationId, Path), PageParams),
    responses((status = 200, body = Page<CustomField>), (status = "4XX", body = Problem)),
)]
async fn custom_fields(
    State(fields): State<Arc<dyn CustomFields>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<CustomField>>> {
    Ok(Json(fields.custom_fields(&caller, org, page).await?))
}

/// Add a field.
#[utoipa::path(post, path = "/organizations/{org}/custom-fields/", tag = "crm",
    params(("org" = OrganizationId, Path)),
    responses((status = 201, body = CustomField), (status = "4XX", body = Problem)),
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

/// A field of the organization's own.
#[utoipa::path(get, path = "/organizations/{org}/custom-fields/{field}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("field" = CustomFieldId, Path)),
    responses(
        (status = 200, body = CustomField, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn custom_field(
    State(fields): State<Arc<dyn CustomFields>>,
    caller: Caller,
    Path((org, field)): Path<(OrganizationId, CustomFieldId)>,
) -> Result<Tagged<CustomField>> {
    let found = fields.custom_field(&caller, org, field).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a field of the organization's own; what it holds stays.
#[utoipa::path(patch, path = "/organizations/{org}/custom-fields/{field}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("field" = CustomFieldId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = CustomField, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
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

/// Remove a field, with what it says of everything.
#[utoipa::path(delete, path = "/organizations/{org}/custom-fields/{field}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("field" = CustomFieldId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn delete_custom_field(
    State(fields): State<Arc<dyn CustomFields>>,
    caller: Caller,
    Path((org, field)): Path<(OrganizationId, CustomFieldId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    fields.delete_custom_field(&caller, org, field, known).await?;
    Ok(StatusCode::NO_CONTENT)
}
