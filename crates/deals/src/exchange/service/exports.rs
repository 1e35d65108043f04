//! Exports.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{Filter, Format, OrganizationId, Result, Table};

/// Exports of lists.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Exports: Send + Sync + 'static {
    /// Exports the deals that the caller may see, as a table that can be imported again. No cell is a formula.
    async fn export_deals(&self, caller: &Caller, org: OrganizationId, filter: Filter, format: Format)
    -> Result<Table>;
    /// Exports the clients that the caller may see, as a table that can be imported again. No cell is a formula.
    async fn export_clients(
        &self,
        caller: &Caller,
        org: OrganizationId,
        filter: Filter,
        format: Format,
    ) -> Result<Table>;
}
