use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{OrganizationId, Result, SearchHits};

/// Search over clients, deals and contacts.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Search: Send + Sync + 'static {
    /// Searches the clients, contacts and deals that the caller may see.
    async fn search(&self, caller: &Caller, org: OrganizationId, query: String) -> Result<SearchHits>;
}
