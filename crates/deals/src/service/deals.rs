use async_trait::async_trait;
use guildhall_kernel::{
    Caller, IfMatch, Page, PageQuery, Slice, SliceQuery, Timestamp,
    idempotency::{Made, Once},
};

use crate::{
    Change, ClientId, Closing, Deal, DealPatch, DealStatus, Filter, Move, NewDeal, OrganizationId, Place, Result,
    StageChange, Verdict, Verification,
};

/// Deals, from the first word to the last payment.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Deals: Send + Sync + 'static {
    /// The deals that the caller may see: all, or those of one client.
    async fn deals(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: Option<ClientId>,
        filter: Filter,
        page: PageQuery,
    ) -> Result<Page<Deal>>;
    /// Adds a deal, with the next number of the organization; of this client, where one is named.
    async fn create_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: Option<ClientId>,
        new: NewDeal,
        once: Option<Once>,
    ) -> Result<Made<Deal>>;
    /// A deal, if the caller may see it; as it was at a moment, where one is given.
    async fn deal(&self, caller: &Caller, org: OrganizationId, at: Place, as_of: Option<Timestamp>) -> Result<Deal>;
    /// Changes a deal.
    async fn change_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        patch: DealPatch,
        known: IfMatch,
    ) -> Result<Deal>;
    /// Puts a deal into the trash, or removes it for good with its payments.
    async fn delete_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        purge: bool,
        known: IfMatch,
    ) -> Result<()>;
    /// Puts a deal into a stage, between two others.
    async fn move_deal(&self, caller: &Caller, org: OrganizationId, at: Place, to: Move) -> Result<Deal>;
    /// Wins or loses a deal, or opens it again.
    async fn close_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        status: DealStatus,
        closing: Closing,
    ) -> Result<Deal>;
    /// Says whether a deal is as it says, and means the version that they know.
    async fn verify_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        verdict: Verification,
        why: Verdict,
        known: IfMatch,
    ) -> Result<Deal>;
    /// Puts a deal aside, or takes it out again.
    async fn archive_deal(&self, caller: &Caller, org: OrganizationId, at: Place, aside: bool) -> Result<Deal>;
    /// The stages that a deal went through, newest first.
    async fn stage_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        slice: SliceQuery,
    ) -> Result<Slice<StageChange>>;
    /// What was changed about a deal, newest first.
    async fn deal_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        slice: SliceQuery,
    ) -> Result<Slice<Change>>;
}
