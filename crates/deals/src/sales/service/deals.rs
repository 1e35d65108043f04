use async_trait::async_trait;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, IfMatch, Page, PageQuery, Timestamp,
    idempotency::{IdempotencyKey, Idempotent},
};

use crate::{
    Change, ClientId, CloseDeal, Deal, DealPatch, DealRef, DealStatus, Filter, MoveDeal, NewDeal, OrganizationId,
    Result, StageChange, Verdict, Verification,
};

/// Deals.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Deals: Send + Sync + 'static {
    /// The deals that the caller may see, of all clients or of one.
    async fn deals(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: Option<ClientId>,
        filter: Filter,
        page: PageQuery,
    ) -> Result<Page<Deal>>;
    /// Creates a deal with the organization's next number. `client` takes precedence over the client in `new`.
    async fn create_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: Option<ClientId>,
        new: NewDeal,
        key: Option<IdempotencyKey>,
    ) -> Result<Idempotent<Deal>>;
    /// A deal, if the caller may see it; with `as_of`, as it was at that time.
    async fn deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        as_of: Option<Timestamp>,
    ) -> Result<Deal>;
    /// Changes a deal, if `known` matches its current version.
    async fn change_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        patch: DealPatch,
        known: IfMatch,
    ) -> Result<Deal>;
    /// Moves a deal to the trash, or with `purge` removes it permanently with its payments.
    async fn delete_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        purge: bool,
        known: IfMatch,
    ) -> Result<()>;
    /// Moves a deal to a stage and to a position among its deals.
    async fn move_deal(&self, caller: &Caller, org: OrganizationId, deal_ref: DealRef, to: MoveDeal) -> Result<Deal>;
    /// Wins, loses or reopens a deal.
    async fn close_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        status: DealStatus,
        closing: CloseDeal,
    ) -> Result<Deal>;
    /// Verifies or rejects a deal, if `known` matches its current version.
    async fn verify_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        verification: Verification,
        verdict: Verdict,
        known: IfMatch,
    ) -> Result<Deal>;
    /// Archives or unarchives a deal. Archived deals are hidden from lists but still count in reports.
    async fn archive_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        archive: bool,
    ) -> Result<Deal>;
    /// The stage changes of a deal, newest first.
    async fn stage_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        cursor: CursorQuery,
    ) -> Result<CursorPage<StageChange>>;
    /// The audit log of a deal, newest first.
    async fn deal_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Change>>;
}
