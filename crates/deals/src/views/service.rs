use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{NewView, OrganizationId, Result, View, ViewId, ViewPatch, Viewed};

/// Saved views of lists.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait SavedViews: Send + Sync + 'static {
    /// The views that the caller may use: their own and those shared with them.
    async fn views(
        &self,
        caller: &Caller,
        org: OrganizationId,
        list: Option<Viewed>,
        page: PageQuery,
    ) -> Result<Page<View>>;
    /// Saves a view. Its filters must be valid for its list.
    async fn create_view(&self, caller: &Caller, org: OrganizationId, new: NewView) -> Result<View>;
    /// A view that the caller may use.
    async fn view(&self, caller: &Caller, org: OrganizationId, id: ViewId) -> Result<View>;
    /// Changes a view of the caller, or with the permission to share views one shared by others.
    async fn change_view(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ViewId,
        patch: ViewPatch,
        known: IfMatch,
    ) -> Result<View>;
    /// Deletes a view of the caller, or with the permission to share views one shared by others.
    async fn delete_view(&self, caller: &Caller, org: OrganizationId, id: ViewId, known: IfMatch) -> Result<()>;
}
