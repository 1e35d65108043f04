use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{Client, ClientId, Duplicate, OrganizationId, Result};

/// Finding and merging duplicate clients.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Merges: Send + Sync + 'static {
    /// Possible duplicates: clients with the same name, email address or phone number.
    async fn duplicates(&self, caller: &Caller, org: OrganizationId, id: ClientId) -> Result<Vec<Duplicate>>;
    /// Merges `other` into the client `id`, which takes over its deals, payments, contacts, tasks and activities.
    async fn merge_clients(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        other: ClientId,
    ) -> Result<Client>;
}
