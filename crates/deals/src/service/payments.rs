use async_trait::async_trait;
use guildhall_kernel::{
    Caller, Page, PageQuery,
    idempotency::{Made, Once},
};

use crate::{
    Filter, NewPayment, NewRefund, NewReversal, OrganizationId, Payment, PaymentId, Place, Result, Verdict,
    Verification,
};

/// The ledger: what came for deals, and what went back. Nothing in it is changed or removed.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Payments: Send + Sync + 'static {
    /// The payments that the caller may see: all, or those of one deal.
    async fn payments(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Option<Place>,
        filter: Filter,
        page: PageQuery,
    ) -> Result<Page<Payment>>;
    /// Records a payment, once however often it is sent with one key; 409 where it is more than is left to be
    /// paid.
    async fn record_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        new: NewPayment,
        once: Option<Once>,
    ) -> Result<Made<Payment>>;
    /// A payment, if the caller may see it.
    async fn payment(&self, caller: &Caller, org: OrganizationId, at: Place, id: PaymentId) -> Result<Payment>;
    /// Says whether a payment came.
    async fn decide_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        id: PaymentId,
        verdict: Verification,
        why: Verdict,
    ) -> Result<Payment>;
    /// Takes a payment back whole, by an entry of its own; gives that.
    async fn reverse_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        id: PaymentId,
        new: NewReversal,
        once: Option<Once>,
    ) -> Result<Made<Payment>>;
    /// Gives some of a verified payment back, by an entry of its own; gives that.
    async fn refund_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        id: PaymentId,
        new: NewRefund,
        once: Option<Once>,
    ) -> Result<Made<Payment>>;
}
