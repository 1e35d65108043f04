use async_trait::async_trait;
use guildhall_kernel::{
    Caller, Page, PageQuery,
    idempotency::{IdempotencyKey, Idempotent},
};

use crate::{
    DealRef, Filter, NewPayment, NewRefund, NewReversal, OrganizationId, Payment, PaymentId, Result, Verdict,
    Verification,
};

/// The ledger: payments, refunds and reversals. Entries are never deleted, and their amounts never change.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Payments: Send + Sync + 'static {
    /// The entries that the caller may see, of all deals or of one.
    async fn payments(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: Option<DealRef>,
        filter: Filter,
        page: PageQuery,
    ) -> Result<Page<Payment>>;
    /// Records a payment, once per idempotency key. 409 if it exceeds the balance, unless the organization accepts
    /// overpayments.
    async fn record_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        new: NewPayment,
        key: Option<IdempotencyKey>,
    ) -> Result<Idempotent<Payment>>;
    /// An entry, if the caller may see it.
    async fn payment(&self, caller: &Caller, org: OrganizationId, deal_ref: DealRef, id: PaymentId) -> Result<Payment>;
    /// Verifies or rejects a pending payment.
    async fn decide_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        id: PaymentId,
        verification: Verification,
        verdict: Verdict,
    ) -> Result<Payment>;
    /// Reverses a payment in full. Returns the new entry.
    async fn reverse_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        id: PaymentId,
        new: NewReversal,
        key: Option<IdempotencyKey>,
    ) -> Result<Idempotent<Payment>>;
    /// Refunds a verified payment in full or in part. Returns the new entry.
    async fn refund_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        id: PaymentId,
        new: NewRefund,
        key: Option<IdempotencyKey>,
    ) -> Result<Idempotent<Payment>>;
}
