use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{CustomField, CustomFieldId, CustomFieldPatch, NewCustomField, OrganizationId, Result};

/// Fields that an organization adds to its clients and deals.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait CustomFields: Send + Sync + 'static {
    /// The fields of an organization's own.
    async fn custom_fields(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<CustomField>>;
    /// Adds a field; there are fifty at most for clients, and as many for deals.
    async fn create_custom_field(
        &self,
        caller: &Caller,
        org: OrganizationId,
        new: NewCustomField,
    ) -> Result<CustomField>;
    /// A field.
    async fn custom_field(&self, caller: &Caller, org: OrganizationId, id: CustomFieldId) -> Result<CustomField>;
    /// Changes a field.
    async fn change_custom_field(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: CustomFieldId,
        patch: CustomFieldPatch,
        known: IfMatch,
    ) -> Result<CustomField>;
    /// Removes a field, with what it says of everything.
    async fn delete_custom_field(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: CustomFieldId,
        known: IfMatch,
    ) -> Result<()>;
}
