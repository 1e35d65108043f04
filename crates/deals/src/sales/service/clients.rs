use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, IfMatch, Page, PageQuery};

use crate::{Change, Client, ClientId, ClientPatch, DeletionPreview, Filter, NewClient, OrganizationId, Result};

/// Clients.
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
    /// Creates a client.
    async fn create_client(&self, caller: &Caller, org: OrganizationId, new: NewClient) -> Result<Client>;
    /// A client, if the caller may see it.
    async fn client(&self, caller: &Caller, org: OrganizationId, id: ClientId) -> Result<Client>;
    /// Changes a client, if `known` matches its current version.
    async fn change_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        patch: ClientPatch,
        known: IfMatch,
    ) -> Result<Client>;
    /// Archives or unarchives a client. Archived clients are hidden from lists but still count in reports.
    async fn archive_client(&self, caller: &Caller, org: OrganizationId, id: ClientId, archive: bool)
    -> Result<Client>;
    /// Previews what deleting a client removes. With `purge` this includes what is already in the trash.
    async fn preview_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        purge: bool,
    ) -> Result<DeletionPreview>;
    /// Moves a client to the trash with its contacts and deals, or with `purge` removes it permanently. If `token` is
    /// given, it must match the current preview.
    async fn delete_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        purge: bool,
        token: Option<String>,
        known: IfMatch,
    ) -> Result<()>;
    /// The audit log of a client, newest first.
    async fn client_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Change>>;
}
