//! What counts: the received and the verified money of a deal, from the entries of its ledger.
//!
//! SQL needs the rule for sums over entries, and Rust for the totals that are stored with a deal. The triggers that
//! maintain the daily revenue repeat it. Tests compare all three.

use std::ops::Sub;

use crate::{
    Overpayment, PaymentKind, Verification,
    entity::{deal, organization, payment},
};

/// SQL: the sign of an entry. Refunds and reversals reduce the totals.
macro_rules! sign {
    () => {
        "CASE WHEN deals_payment.kind = 'payment' THEN 1 ELSE -1 END"
    };
}

/// SQL condition: an entry counts as received.
macro_rules! is_received {
    () => {
        "deals_payment.state <> 'rejected'"
    };
}

/// SQL condition: an entry counts as verified. The refund or reversal of a payment that was not verified does not.
macro_rules! is_verified {
    () => {
        "(deals_payment.state = 'verified' AND (deals_payment.of_id IS NULL OR EXISTS (SELECT 1 FROM deals_payment o \
         WHERE o.org_id = deals_payment.org_id AND o.id = deals_payment.of_id AND o.state = 'verified')))"
    };
}

pub(crate) use {is_received, is_verified, sign};

/// What entries add to the totals of their deal, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) received: i64,
    pub(crate) verified: i64,
}

impl Totals {
    /// What an entry adds; `original` is the payment that it refunds or reverses.
    pub(crate) fn of(entry: &payment::Model, original: Option<&payment::Model>) -> Self {
        let amount = if entry.kind == PaymentKind::Payment { entry.amount_minor } else { -entry.amount_minor };
        let is_verified = |payment: &payment::Model| payment.state == Verification::Verified;
        Self {
            received: if entry.state == Verification::Rejected { 0 } else { amount },
            verified: if is_verified(entry) && original.is_none_or(is_verified) { amount } else { 0 },
        }
    }
}

impl Sub for Totals {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { received: self.received - other.received, verified: self.verified - other.verified }
    }
}

/// Whether more is received for a deal than its value, which only some organizations accept.
pub(crate) fn is_overpaid(org: &organization::Model, deal: &deal::Model) -> bool {
    org.overpayment == Overpayment::Reject && deal.received_minor > deal.value_minor
}
