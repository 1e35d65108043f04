use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{ClientId, Contact, ContactId, ContactPatch, NewContact, OrganizationId, Result};

/// Contacts of clients.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Contacts: Send + Sync + 'static {
    /// The contacts of a client.
    async fn contacts(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        page: PageQuery,
    ) -> Result<Page<Contact>>;
    /// Creates a contact.
    async fn create_contact(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        new: NewContact,
    ) -> Result<Contact>;
    /// A contact of a client.
    async fn contact(&self, caller: &Caller, org: OrganizationId, client: ClientId, id: ContactId) -> Result<Contact>;
    /// Changes a contact, if `known` matches its current version.
    async fn change_contact(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        id: ContactId,
        patch: ContactPatch,
        known: IfMatch,
    ) -> Result<Contact>;
    /// Moves a contact to the trash, if `known` matches its current version.
    async fn delete_contact(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        id: ContactId,
        known: IfMatch,
    ) -> Result<()>;
}
