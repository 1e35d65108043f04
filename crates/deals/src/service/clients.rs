use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery, Slice, SliceQuery};

use crate::{
    Change, Client, ClientId, ClientPatch, Contact, ContactId, ContactPatch, DeletionPreview, Duplicate, Filter,
    NewClient, NewContact, OrganizationId, Result,
};

/// Clients, and the people there.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Clients: Send + Sync + 'static {
    /// The clients that the caller may see.
    async fn clients(
        &self,
        caller: &Caller,
        org: OrganizationId,
        filter: Filter,
        page: PageQuery,
    ) -> Result<Page<Client>>;
    /// Adds a client.
    async fn create_client(&self, caller: &Caller, org: OrganizationId, new: NewClient) -> Result<Client>;
    /// A client, if the caller may see it.
    async fn client(&self, caller: &Caller, org: OrganizationId, id: ClientId) -> Result<Client>;
    /// Changes a client.
    async fn change_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        patch: ClientPatch,
        known: IfMatch,
    ) -> Result<Client>;
    /// Puts a client aside, or takes it out again. It still counts.
    async fn archive_client(&self, caller: &Caller, org: OrganizationId, id: ClientId, aside: bool) -> Result<Client>;
    /// What would go with a client: into the trash, or for good with what lies there already.
    async fn preview_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        purge: bool,
    ) -> Result<DeletionPreview>;
    /// Puts a client into the trash with its contacts and deals, or removes it for good; only if `token`, where
    /// one is given, is still that of the preview.
    async fn delete_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        purge: bool,
        token: Option<String>,
        known: IfMatch,
    ) -> Result<()>;
    /// What was changed about a client, newest first.
    async fn client_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        slice: SliceQuery,
    ) -> Result<Slice<Change>>;

    /// Clients that may be the same: with its name, address or telephone number.
    async fn duplicates(&self, caller: &Caller, org: OrganizationId, id: ClientId) -> Result<Vec<Duplicate>>;
    /// Makes one client of two: what hangs on the other hangs on this one, with its history and its ledger.
    async fn merge_clients(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        other: ClientId,
    ) -> Result<Client>;

    /// The people at a client.
    async fn contacts(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        page: PageQuery,
    ) -> Result<Page<Contact>>;
    /// Adds a person at a client.
    async fn create_contact(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        new: NewContact,
    ) -> Result<Contact>;
    /// A person at a client.
    async fn contact(&self, caller: &Caller, org: OrganizationId, client: ClientId, id: ContactId) -> Result<Contact>;
    /// Changes a person at a client.
    async fn change_contact(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        id: ContactId,
        patch: ContactPatch,
        known: IfMatch,
    ) -> Result<Contact>;
    /// Puts a person at a client into the trash.
    async fn delete_contact(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        id: ContactId,
        known: IfMatch,
    ) -> Result<()>;
}
