//! Imports.

use async_trait::async_trait;
use guildhall_kernel::{
    Caller, Page, PageQuery,
    idempotency::{IdempotencyKey, Idempotent},
};

use crate::{Import, ImportId, NewImport, OrganizationId, Result, Table};

/// Imports of tables.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Imports: Send + Sync + 'static {
    /// Imports a table, or only checks it. If the import fails, the rows that it has created are deleted.
    async fn import(
        &self,
        caller: &Caller,
        org: OrganizationId,
        new: NewImport,
        key: Option<IdempotencyKey>,
    ) -> Result<Idempotent<Import>>;
    /// The imports that the caller may see, newest first.
    async fn imports(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Import>>;
    /// An import.
    async fn find_import(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Import>;
    /// The errors of an import, as a table.
    async fn import_errors(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Table>;
    /// Reverts an import: deletes the rows that it created, except those that were changed or used since.
    async fn revert_import(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Import>;
}
