use async_trait::async_trait;
use guildhall_kernel::{
    Caller, Page, PageQuery,
    idempotency::{Made, Once},
};

use crate::{Filter, Format, Import, ImportId, NewImport, OrganizationId, Result, Table};

/// Tables that come and go.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Exchange: Send + Sync + 'static {
    /// The deals that the caller may see, as a table that can be read in again. No cell is a formula.
    async fn export_deals(&self, caller: &Caller, org: OrganizationId, filter: Filter, format: Format)
    -> Result<Table>;
    /// The clients that the caller may see, as a table that can be read in again. No cell is a formula.
    async fn export_clients(
        &self,
        caller: &Caller,
        org: OrganizationId,
        filter: Filter,
        format: Format,
    ) -> Result<Table>;
    /// Reads a table in, or only looks at it; what broke off is taken back.
    async fn import(
        &self,
        caller: &Caller,
        org: OrganizationId,
        new: NewImport,
        once: Option<Once>,
    ) -> Result<Made<Import>>;
    /// The tables that were read in, newest first.
    async fn imports(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Import>>;
    /// A table that was read in.
    async fn find_import(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Import>;
    /// The faults of a table, as a table.
    async fn import_errors(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Table>;
    /// Takes back what came with a table, but for what somebody has changed since.
    async fn revert_import(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Import>;
}
