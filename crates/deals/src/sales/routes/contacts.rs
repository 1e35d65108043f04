//! Contacts.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{ClientId, Contact, ContactId, ContactPatch, Contacts, NewContact, OrganizationId, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new().routes(routes!(contacts, create_contact)).routes(routes!(
        contact,
        change_contact,
        delete_contact
    ))
}

/// List the contacts of a client.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/contacts/", tag = "crm",
    responses((status = 200, body = Page<Contact>)),
)]
async fn contacts(
    State(contacts): State<Arc<dyn Contacts>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    page: PageQuery,
) -> Result<Json<Page<Contact>>> {
    Ok(Json(contacts.contacts(&caller, org, client, page).await?))
}

/// Create a contact.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/contacts/", tag = "crm",
    responses((status = 201, body = Contact)),
)]
async fn create_contact(
    State(contacts): State<Arc<dyn Contacts>>,
    caller: Caller,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    Json(body): Json<NewContact>,
) -> Result<(StatusCode, Tagged<Contact>)> {
    let found = contacts.create_contact(&caller, org, client, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Get a contact.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/contacts/{contact}/", tag = "crm",
    responses((status = 200, body = Contact)),
)]
async fn contact(
    State(contacts): State<Arc<dyn Contacts>>,
    caller: Caller,
    Path((org, client, contact)): Path<(OrganizationId, ClientId, ContactId)>,
) -> Result<Tagged<Contact>> {
    let found = contacts.contact(&caller, org, client, contact).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a contact.
#[utoipa::path(patch, path = "/organizations/{org}/clients/{client}/contacts/{contact}/", tag = "crm",
    responses((status = 200, body = Contact)),
)]
async fn change_contact(
    State(contacts): State<Arc<dyn Contacts>>,
    caller: Caller,
    Path((org, client, contact)): Path<(OrganizationId, ClientId, ContactId)>,
    known: IfMatch,
    Json(body): Json<ContactPatch>,
) -> Result<Tagged<Contact>> {
    let found = contacts.change_contact(&caller, org, client, contact, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Move a contact to the trash.
#[utoipa::path(delete, path = "/organizations/{org}/clients/{client}/contacts/{contact}/", tag = "crm",
    responses((status = 204)),
)]
async fn delete_contact(
    State(contacts): State<Arc<dyn Contacts>>,
    caller: Caller,
    Path((org, client, contact)): Path<(OrganizationId, ClientId, ContactId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    contacts.delete_contact(&caller, org, client, contact, known).await?;
    Ok(StatusCode::NO_CONTENT)
}
