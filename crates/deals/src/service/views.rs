use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{NewView, OrganizationId, Result, View, ViewId, ViewPatch, Viewed};

/// Lists as people want to see them again.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Views: Send + Sync + 'static {
    /// The views that the caller may use: their own, and those that are shared with them.
    async fn views(
        &self,
        caller: &Caller,
        org: OrganizationId,
        of: Option<Viewed>,
        page: PageQuery,
    ) -> Result<Page<View>>;
    /// Keeps a view; its filters have to be such as its list understands.
    async fn create_view(&self, caller: &Caller, org: OrganizationId, new: NewView) -> Result<View>;
    /// A view that the caller may use.
    async fn view(&self, caller: &Caller, org: OrganizationId, id: ViewId) -> Result<View>;
    /// Changes a view of the caller's own.
    async fn change_view(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ViewId,
        patch: ViewPatch,
        known: IfMatch,
    ) -> Result<View>;
    /// Removes a view of the caller's own.
    async fn delete_view(&self, caller: &Caller, org: OrganizationId, id: ViewId, known: IfMatch) -> Result<()>;
}
