//! The entries of the ledger: what may be recorded, refunded, reversed and decided, and the totals of the deal that
//! change with it. The deal is locked, so its totals are current.

use guildhall_kernel::{
    Caller, Timestamp,
    db::{self, Tx},
};
use sea_orm::ActiveValue::NotSet;

use super::SqlLedger;
use crate::{
    Amount, Currency, Day, Error, NewPayment, NewRefund, NewReversal, PaymentId, PaymentKind, PaymentMethod, Result,
    Verdict, Verification,
    core::{access::Access, store::defer_changes},
    entity::{deal, payment},
    event::{PaymentData, PaymentDecided, changes},
    ledger::sums::{Totals, is_overpaid},
    money::LIMIT,
};

/// The minimum number of digits in the number of an entry.
const MIN_DIGITS: usize = 4;

/// The context of an operation on the ledger. The deal is locked.
pub(super) struct Context<'a> {
    pub(super) caller: &'a Caller,
    pub(super) access: &'a Access,
    pub(super) deal: deal::Model,
}

impl Context<'_> {
    /// The deal with other totals of its payments.
    fn deal_after(&self, added: Totals, now: Timestamp) -> deal::Model {
        deal::Model {
            received_minor: self.deal.received_minor + added.received,
            verified_minor: self.deal.verified_minor + added.verified,
            updated_at: now,
            ..self.deal.clone()
        }
    }
}

/// Parses an amount greater than zero into minor units.
fn positive_amount(amount: &Amount, currency: &Currency) -> Result<i64> {
    let minor = amount.minor(currency).map_err(|message| Error::field("amount", message))?;
    if minor > 0 { Ok(minor) } else { Err(Error::field("amount", "Amount must be greater than zero.")) }
}

/// A new entry with default values. Its number and times are set when it is stored.
fn new_entry(deal: &deal::Model, access: &Access, kind: PaymentKind, amount: i64) -> payment::Model {
    let unset = Timestamp::EPOCH;
    payment::Model {
        id: PaymentId(0),
        org_id: deal.org_id,
        number: 0,
        code: String::new(),
        deal_id: deal.id,
        kind,
        of_id: None,
        amount_minor: amount,
        currency: deal.currency.clone(),
        method: PaymentMethod::Other,
        cheque_number: None,
        reference: String::new(),
        received_on: Day::of(unset),
        recorded_by: access.member.id,
        state: Verification::Pending,
        decided_by: None,
        decided_at: None,
        reason: String::new(),
        refunded_minor: 0,
        is_reversed: false,
        created_at: unset,
        updated_at: unset,
    }
}

impl SqlLedger {
    /// Stores an entry; the caller emits the event.
    async fn insert(
        &self,
        tx: &Tx,
        context: &Context<'_>,
        number: i64,
        mut row: payment::Model,
    ) -> Result<payment::Model> {
        let now = self.core.now();
        row.created_at = now;
        row.updated_at = now;
        row.number = number;
        row.code = format!("TXN-{number:0MIN_DIGITS$}");
        let row = db::insert(tx, payment::ActiveModel { id: NotSet, ..row.into() }).await?;
        self.core.record_created(tx, (context.caller, context.access), "deals.record_payment", &row).await?;
        Ok(row)
    }

    /// Stores the totals of the deal, and records their change in the audit log, from which its earlier versions are
    /// restored.
    async fn store_totals(&self, tx: &Tx, context: &Context<'_>, added: Totals) -> Result<()> {
        let after = context.deal_after(added, self.core.now());
        defer_changes(tx, &context.deal, &after).await?;
        let actor = (context.caller, context.access);
        self.core.record_changed(tx, actor, "deals.count_payment", &context.deal, &after).await
    }

    pub(super) async fn record(
        &self,
        tx: &Tx,
        context: &Context<'_>,
        number: i64,
        new: &NewPayment,
    ) -> Result<payment::Model> {
        let Context { access, deal, .. } = context;
        if new.currency.as_ref().is_some_and(|currency| *currency != deal.currency) {
            return Err(Error::CurrencyMismatch(deal.currency.to_string()));
        }
        let amount = positive_amount(&new.amount, &deal.currency)?;
        if new.cheque_number.is_some() && new.method != PaymentMethod::Cheque {
            return Err(Error::field("cheque_number", "Only a cheque has a number."));
        }
        let now = self.core.now();
        let row = payment::Model {
            method: new.method,
            cheque_number: new.cheque_number.as_ref().map(|number| number.trim().to_owned()),
            reference: new.reference.trim().to_owned(),
            received_on: new.received_on.clone().unwrap_or_else(|| access.org.day_of(now)),
            ..new_entry(deal, access, PaymentKind::Payment, amount)
        };
        let added = Totals::of(&row, None);
        let after = context.deal_after(added, now);
        if is_overpaid(&access.org, &after) || after.received_minor >= LIMIT {
            let balance = i128::from(deal.value_minor) - i128::from(deal.received_minor);
            return Err(Error::Overpayment { max_allowed: deal.currency.format(balance.max(0)) });
        }
        self.store_totals(tx, context, added).await?;
        self.insert(tx, context, number, row).await
    }

    pub(super) async fn reverse(
        &self,
        tx: &Tx,
        context: &Context<'_>,
        number: i64,
        (original, new): (&payment::Model, &NewReversal),
    ) -> Result<payment::Model> {
        let is_valid = original.kind == PaymentKind::Payment && original.state != Verification::Rejected;
        if !is_valid || original.is_reversed || original.refunded_minor > 0 {
            let detail = "Only a payment that has not been rejected, refunded or reversed can be reversed.";
            return Err(Error::IllegalTransition(detail));
        }
        let reversed = payment::Model { is_reversed: true, updated_at: self.core.now(), ..original.clone() };
        let row = self.refund_or_reversal(context, original, PaymentKind::Reversal, original.amount_minor, &new.reason);
        self.give_back(tx, context, number, (original, &reversed), row).await
    }

    pub(super) async fn refund(
        &self,
        tx: &Tx,
        context: &Context<'_>,
        number: i64,
        (original, new): (&payment::Model, &NewRefund),
    ) -> Result<payment::Model> {
        let is_verified = original.kind == PaymentKind::Payment && original.state == Verification::Verified;
        if !is_verified || original.is_reversed {
            let detail = "Only a verified payment that has not been reversed can be refunded.";
            return Err(Error::IllegalTransition(detail));
        }
        let currency = &context.deal.currency;
        let amount = positive_amount(&new.amount, currency)?;
        let refundable = original.amount_minor - original.refunded_minor;
        if amount > refundable {
            let refundable = currency.format(i128::from(refundable));
            return Err(Error::field("amount", format!("Amount must be at most {refundable}.")));
        }
        let refunded_minor = original.refunded_minor + amount;
        let refunded = payment::Model { refunded_minor, updated_at: self.core.now(), ..original.clone() };
        let row = self.refund_or_reversal(context, original, PaymentKind::Refund, amount, &new.reason);
        self.give_back(tx, context, number, (original, &refunded), row).await
    }

    /// A new refund or reversal of a payment.
    fn refund_or_reversal(
        &self,
        context: &Context<'_>,
        original: &payment::Model,
        kind: PaymentKind,
        amount: i64,
        reason: &str,
    ) -> payment::Model {
        let Context { access, deal, .. } = context;
        let now = self.core.now();
        payment::Model {
            of_id: Some(original.id),
            method: original.method,
            reference: original.code.clone(),
            received_on: access.org.day_of(now),
            state: Verification::Verified,
            decided_by: Some(access.member.id),
            decided_at: Some(now),
            reason: reason.trim().to_owned(),
            ..new_entry(deal, access, kind, amount)
        }
    }

    /// Stores a refund or reversal, and what it changes: the payment, the totals of the deal and the commission.
    async fn give_back(
        &self,
        tx: &Tx,
        context: &Context<'_>,
        number: i64,
        (before, after): (&payment::Model, &payment::Model),
        row: payment::Model,
    ) -> Result<payment::Model> {
        let actor = (context.caller, context.access);
        defer_changes(tx, before, after).await?;
        self.core.record_changed(tx, actor, "deals.give_back_payment", before, after).await?;
        self.store_totals(tx, context, Totals::of(&row, Some(before))).await?;
        let row = self.insert(tx, context, number, row).await?;
        self.reduce_commission(tx, before, &row).await?;
        Ok(row)
    }

    pub(super) async fn decide(
        &self,
        tx: &Tx,
        context: &Context<'_>,
        before: &payment::Model,
        verification: Verification,
        verdict: &Verdict,
    ) -> Result<payment::Model> {
        let Context { caller, access, deal } = context;
        if before.kind != PaymentKind::Payment || before.state != Verification::Pending || before.is_reversed {
            return Err(Error::IllegalTransition("Only a pending payment can be verified or rejected."));
        }
        if access.org.four_eyes && before.recorded_by == access.member.id {
            return Err(Error::Escalation("You cannot verify or reject a payment that you recorded yourself."));
        }
        let now = self.core.now();
        let after = payment::Model {
            state: verification,
            decided_by: Some(access.member.id),
            decided_at: Some(now),
            reason: verdict.reason.trim().to_owned(),
            updated_at: now,
            ..before.clone()
        };
        defer_changes(tx, before, &after).await?;
        self.store_totals(tx, context, Totals::of(&after, None) - Totals::of(before, None)).await?;
        if verification == Verification::Verified {
            self.add_commission(tx, deal, &after).await?;
        }
        self.core.record_changed(tx, (caller, access), "deals.decide_payment", before, &after).await?;
        let payment = PaymentData::from(&after);
        let changes = changes(&PaymentData::from(before), &payment)?;
        tx.emit(&PaymentDecided { organization_id: after.org_id, payment, changes }).await?;
        Ok(after)
    }
}
