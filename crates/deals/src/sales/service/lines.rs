use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch};

use crate::{DealRef, Line, LineId, LinePatch, NewLine, OrganizationId, Result};

/// Line items of deals.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait LineItems: Send + Sync + 'static {
    /// The line items of a deal in order, at most 100.
    async fn lines(&self, caller: &Caller, org: OrganizationId, deal_ref: DealRef) -> Result<Vec<Line>>;
    /// Adds a line item. From the first one on, the deal's value is the total of its line items.
    async fn add_line(&self, caller: &Caller, org: OrganizationId, deal_ref: DealRef, new: NewLine) -> Result<Line>;
    /// Changes a line item and updates the deal's value.
    async fn change_line(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        id: LineId,
        patch: LinePatch,
        known: IfMatch,
    ) -> Result<Line>;
    /// Removes a line item and updates the deal's value. Removing the last one leaves the value as it is.
    async fn remove_line(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        id: LineId,
        known: IfMatch,
    ) -> Result<()>;
}
