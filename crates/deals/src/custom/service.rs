use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{CustomField, CustomFieldId, CustomFieldPatch, NewCustomField, OrganizationId, Result};

/// Custom fields of clients and deals.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait CustomFields: Send + Sync + 'static {
    /// The custom fields of an organization.
    async fn custom_fields(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<CustomField>>;
    /// Creates a custom field. There are at most 50 for clients and 50 for deals.
    async fn create_custom_field(
        &self,
        caller: &Caller,
        org: OrganizationId,
        new: NewCustomField,
    ) -> Result<CustomField>;
    /// A custom field.
    async fn custom_field(&self, caller: &Caller, org: OrganizationId, id: CustomFieldId) -> Result<CustomField>;
    /// Changes a custom field, if `known` matches its current version.
    async fn change_custom_field(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: CustomFieldId,
        patch: CustomFieldPatch,
        known: IfMatch,
    ) -> Result<CustomField>;
    /// Deletes a custom field with all its values, if `known` matches its current version.
    async fn delete_custom_field(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: CustomFieldId,
        known: IfMatch,
    ) -> Result<()>;
}
