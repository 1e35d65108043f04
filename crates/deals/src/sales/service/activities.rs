use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery};

use crate::{Activity, ClientId, DealRef, NewActivity, OrganizationId, Result};

/// Activities: calls, meetings, emails and notes about clients and deals.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Activities: Send + Sync + 'static {
    /// The activities with a client and about its deals that the caller may see, newest first.
    async fn timeline(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Activity>>;
    /// The activities about a deal, newest first.
    async fn activities(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Activity>>;
    /// Logs an activity with a client.
    async fn log_with_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        new: NewActivity,
    ) -> Result<Activity>;
    /// Logs an activity about a deal.
    async fn log_activity(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        new: NewActivity,
    ) -> Result<Activity>;
}
