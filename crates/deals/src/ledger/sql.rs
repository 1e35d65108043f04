//! The ledger. A conditional update of the deal's total prevents concurrent payments from exceeding its value.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, Error as KernelError, Ordering, Page, PageQuery, Timestamp,
    db::Tx,
    idempotency::{self, IdempotencyKey, Idempotent, KeyScope},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Set,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    Amount, Currency, Day, DealRef, Error, Filter, MemberId, NewPayment, NewRefund, NewReversal, OrganizationId,
    Payment, PaymentId, PaymentKind, PaymentMethod, Payments, Result, Verdict, Verification, Viewed,
    core::{Core, Field, People, ValueKind, access::Access, execute, lock, next_number, store},
    entity::{commission, deal, member, payment},
    event::{PaymentData, PaymentDecided, PaymentRecorded, changes},
    money::{LIMIT, divide_half_even},
    permission::Permission,
    views::sql::apply_view,
};

/// The minimum number of digits in the number of an entry.
const MIN_DIGITS: usize = 4;

fn show(row: payment::Model, people: &People) -> Payment {
    let money = |minor: i64| row.currency.format(i128::from(minor));
    Payment {
        id: row.id,
        deal_id: row.deal_id,
        kind: row.kind,
        of_payment_id: row.of_id,
        amount: money(row.amount_minor),
        refunded: money(row.refunded_minor),
        currency: row.currency,
        method: row.method,
        cheque_number: row.cheque_number,
        reference: row.reference,
        received_on: row.received_on,
        state: row.state,
        reason: row.reason,
        is_reversed: row.is_reversed,
        recorded_by: people.get(row.recorded_by),
        decided_by: row.decided_by.and_then(|member| people.get(member)),
        decided_at: row.decided_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
        transaction_id: row.code,
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

/// The commission on an amount, rounded half to even. The rate is in basis points (hundredths of a percent).
fn commission_on(minor: i64, rate_bp: i64) -> Result<i64> {
    let commission = divide_half_even(i128::from(minor) * i128::from(rate_bp), 10_000);
    i64::try_from(commission).map_err(|error| KernelError::internal(error).into())
}

/// The context of an operation on the ledger. The deal is locked.
struct Context<'a> {
    caller: &'a Caller,
    access: Access,
    deal: deal::Model,
}

/// An entry of a deal.
pub(crate) async fn find_payment(
    conn: &impl ConnectionTrait,
    deal: &deal::Model,
    id: PaymentId,
) -> Result<payment::Model> {
    let found = payment::Entity::find_by_id(id)
        .filter(payment::COLUMN.org_id.eq(deal.org_id))
        .filter(payment::COLUMN.deal_id.eq(deal.id))
        .one(conn)
        .await?;
    found.ok_or(Error::NotFound("payment"))
}

/// The ledger: payments, refunds and reversals, on a database.
#[derive(Clone)]
pub struct SqlLedger {
    pub(crate) core: Core,
}

impl SqlLedger {
    async fn show_payments(&self, conn: &impl ConnectionTrait, rows: Vec<payment::Model>) -> Result<Vec<Payment>> {
        let members: Vec<MemberId> =
            rows.iter().flat_map(|row| [Some(row.recorded_by), row.decided_by]).flatten().collect();
        let people = self.core.members_as_people(conn, members).await?;
        Ok(rows.into_iter().map(|row| show(row, &people)).collect())
    }

    /// Assigns a number to an entry and stores it.
    async fn append(&self, tx: &Tx, context: &Context<'_>, mut row: payment::Model) -> Result<payment::Model> {
        let now = self.core.now();
        row.created_at = now;
        row.updated_at = now;
        row.number = next_number(tx, row.org_id, "payment").await?;
        row.code = format!("TXN-{:0MIN_DIGITS$}", row.number);
        let row = payment::ActiveModel { id: NotSet, ..row.into() }.reset_all().insert(tx).await?;
        self.core.record_created(tx, (context.caller, &context.access), "deals.record_payment", &row).await?;
        tx.emit(&PaymentRecorded { organization_id: row.org_id, payment: PaymentData::from(&row) }).await?;
        Ok(row)
    }

    /// Updates a payment that is refunded or reversed.
    async fn update_original(
        &self,
        tx: &Tx,
        context: &Context<'_>,
        before: &payment::Model,
        after: &payment::Model,
    ) -> Result<()> {
        store(tx, before, after).await?;
        self.core.record_changed(tx, (context.caller, &context.access), "deals.give_back_payment", before, after).await
    }

    /// Adds amounts, which may be negative, to the payment totals of the deal.
    async fn add_to_totals(&self, tx: &Tx, context: &Context<'_>, received: i64, verified: i64) -> Result<()> {
        let (deal, now) = (&context.deal, self.core.now());
        let sql = "UPDATE deals_deal SET received_minor = received_minor + $1, verified_minor = verified_minor + $2, \
                   updated_at = $3 WHERE org_id = $4 AND id = $5";
        let values = [received.into(), verified.into(), now.into(), deal.org_id.into(), deal.id.into()];
        execute(tx, sql, values).await?;
        self.record_totals(tx, context, received, verified, now).await
    }

    /// Records the change of the payment totals in the audit log, from which earlier versions of the deal are restored.
    async fn record_totals(
        &self,
        tx: &Tx,
        context: &Context<'_>,
        received: i64,
        verified: i64,
        now: Timestamp,
    ) -> Result<()> {
        let after = deal::Model {
            received_minor: context.deal.received_minor + received,
            verified_minor: context.deal.verified_minor + verified,
            updated_at: now,
            ..context.deal.clone()
        };
        self.core
            .record_changed(tx, (context.caller, &context.access), "deals.count_payment", &context.deal, &after)
            .await
    }

    async fn record(&self, tx: &Tx, context: &Context<'_>, new: &NewPayment) -> Result<payment::Model> {
        let Context { access, deal, .. } = context;
        if new.currency.as_ref().is_some_and(|currency| *currency != deal.currency) {
            return Err(Error::CurrencyMismatch(deal.currency.to_string()));
        }
        let amount = positive_amount(&new.amount, &deal.currency)?;
        if new.cheque_number.is_some() && new.method != PaymentMethod::Cheque {
            return Err(Error::field("cheque_number", "Only a cheque has a number."));
        }
        let sql = "UPDATE deals_deal SET received_minor = received_minor + $1, updated_at = $2 \
                   WHERE org_id = $3 AND id = $4 AND deleted_at IS NULL AND received_minor + $1 <= $5 \
                   AND (value_minor >= received_minor + $1 OR $6)";
        let (max, now) = (LIMIT - 1, self.core.now());
        let values =
            [amount.into(), now.into(), deal.org_id.into(), deal.id.into(), max.into(), access.org.takes_credit.into()];
        if execute(tx, sql, values).await? == 0 {
            let current = deal::Entity::find_by_id(deal.id).one(tx).await?.ok_or(Error::DealNotFound(deal.id))?;
            let balance = i128::from(current.value_minor) - i128::from(current.received_minor);
            return Err(Error::Overpayment { max_allowed: deal.currency.format(balance.max(0)) });
        }
        self.record_totals(tx, context, amount, 0, now).await?;
        let row = payment::Model {
            method: new.method,
            cheque_number: new.cheque_number.as_ref().map(|number| number.trim().to_owned()),
            reference: new.reference.trim().to_owned(),
            received_on: new.received_on.clone().unwrap_or_else(|| access.org.day_of(self.core.now())),
            ..new_entry(deal, access, PaymentKind::Payment, amount)
        };
        self.append(tx, context, row).await
    }

    async fn reverse(
        &self,
        tx: &Tx,
        context: &Context<'_>,
        id: PaymentId,
        new: &NewReversal,
    ) -> Result<payment::Model> {
        let Context { access, deal, .. } = context;
        let original = find_payment(tx, deal, id).await?;
        let is_valid = original.kind == PaymentKind::Payment && original.state != Verification::Rejected;
        if !is_valid || original.is_reversed || original.refunded_minor > 0 {
            let detail = "Only a payment that has not been rejected, refunded or reversed can be reversed.";
            return Err(Error::IllegalTransition(detail));
        }
        let reversed = payment::Model { is_reversed: true, updated_at: self.core.now(), ..original.clone() };
        self.update_original(tx, context, &original, &reversed).await?;
        let verified = if original.state == Verification::Verified { -original.amount_minor } else { 0 };
        self.add_to_totals(tx, context, -original.amount_minor, verified).await?;
        let amount = original.amount_minor;
        let row = self.refund_or_reversal(access, deal, &original, PaymentKind::Reversal, amount, &new.reason);
        let row = self.append(tx, context, row).await?;
        self.reduce_commission(tx, &original, &row).await?;
        Ok(row)
    }

    async fn refund(&self, tx: &Tx, context: &Context<'_>, id: PaymentId, new: &NewRefund) -> Result<payment::Model> {
        let Context { access, deal, .. } = context;
        let original = find_payment(tx, deal, id).await?;
        let is_verified = original.kind == PaymentKind::Payment && original.state == Verification::Verified;
        if !is_verified || original.is_reversed {
            let detail = "Only a verified payment that has not been reversed can be refunded.";
            return Err(Error::IllegalTransition(detail));
        }
        let amount = positive_amount(&new.amount, &deal.currency)?;
        let refundable = original.amount_minor - original.refunded_minor;
        if amount > refundable {
            let refundable = deal.currency.format(i128::from(refundable));
            return Err(Error::field("amount", format!("Amount must be at most {refundable}.")));
        }
        let refunded_minor = original.refunded_minor + amount;
        let refunded = payment::Model { refunded_minor, updated_at: self.core.now(), ..original.clone() };
        self.update_original(tx, context, &original, &refunded).await?;
        self.add_to_totals(tx, context, -amount, -amount).await?;
        let row = self.refund_or_reversal(access, deal, &original, PaymentKind::Refund, amount, &new.reason);
        let row = self.append(tx, context, row).await?;
        self.reduce_commission(tx, &original, &row).await?;
        Ok(row)
    }

    /// A new refund or reversal of a payment.
    fn refund_or_reversal(
        &self,
        access: &Access,
        deal: &deal::Model,
        original: &payment::Model,
        kind: PaymentKind,
        amount: i64,
        reason: &str,
    ) -> payment::Model {
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

    /// Credits the deal's owner with the commission on a verified payment.
    async fn add_commission(
        &self,
        conn: &impl ConnectionTrait,
        deal: &deal::Model,
        payment: &payment::Model,
    ) -> Result<()> {
        let owner = member::Entity::find_by_id(deal.owner_id).one(conn).await?;
        let Some(owner) = owner.filter(|owner| owner.commission_bp > 0) else { return Ok(()) };
        let amount = commission_on(payment.amount_minor, owner.commission_bp)?;
        self.insert_commission(conn, payment, owner.id, owner.commission_bp, amount).await
    }

    /// Reduces the commission on a payment after a refund or reversal. The remaining commission is always exactly that
    /// on the remaining amount, to the minor unit.
    async fn reduce_commission(
        &self,
        conn: &impl ConnectionTrait,
        original: &payment::Model,
        entry: &payment::Model,
    ) -> Result<()> {
        let select = commission::Entity::find().filter(commission::COLUMN.payment_id.eq(original.id));
        let Some(commission) = select.one(conn).await? else { return Ok(()) };
        let before = original.amount_minor - original.refunded_minor;
        let after = before - entry.amount_minor;
        let amount = commission_on(after, commission.rate_bp)? - commission_on(before, commission.rate_bp)?;
        self.insert_commission(conn, entry, commission.member_id, commission.rate_bp, amount).await
    }

    async fn insert_commission(
        &self,
        conn: &impl ConnectionTrait,
        entry: &payment::Model,
        member: MemberId,
        rate_bp: i64,
        amount_minor: i64,
    ) -> Result<()> {
        let row = commission::ActiveModel {
            id: NotSet,
            org_id: Set(entry.org_id),
            member_id: Set(member),
            deal_id: Set(entry.deal_id),
            payment_id: Set(entry.id),
            rate_bp: Set(rate_bp),
            amount_minor: Set(amount_minor),
            currency: Set(entry.currency.clone()),
            earned_on: Set(entry.received_on.clone()),
            created_at: Set(self.core.now()),
        };
        commission::Entity::insert(row).exec_without_returning(conn).await?;
        Ok(())
    }

    async fn decide(
        &self,
        tx: &Tx,
        context: &Context<'_>,
        id: PaymentId,
        verification: Verification,
        verdict: &Verdict,
    ) -> Result<payment::Model> {
        let Context { caller, access, deal } = context;
        let before = find_payment(tx, deal, id).await?;
        if before.kind != PaymentKind::Payment || before.state != Verification::Pending || before.is_reversed {
            return Err(Error::IllegalTransition("Only a pending payment can be verified or rejected."));
        }
        if access.org.four_eyes && before.recorded_by == access.member.id {
            return Err(Error::Escalation("You cannot verify or reject a payment that you recorded yourself."));
        }
        let now = self.core.now();
        let sql = "UPDATE deals_payment SET state = $1, decided_by = $2, decided_at = $3, reason = $4, updated_at = $3 \
                   WHERE org_id = $5 AND id = $6";
        let values = [
            verification.into(),
            access.member.id.into(),
            now.into(),
            verdict.reason.trim().into(),
            deal.org_id.into(),
            id.into(),
        ];
        execute(tx, sql, values).await?;
        match verification {
            Verification::Verified => {
                self.add_to_totals(tx, context, 0, before.amount_minor).await?;
                self.add_commission(tx, deal, &before).await?;
            }
            _ => self.add_to_totals(tx, context, -before.amount_minor, 0).await?,
        }
        let after = find_payment(tx, deal, id).await?;
        self.core.record_changed(tx, (caller, access), "deals.decide_payment", &before, &after).await?;
        let payment = PaymentData::from(&after);
        let changes = changes(&PaymentData::from(&before), &payment)?;
        tx.emit(&PaymentDecided { organization_id: after.org_id, payment, changes }).await?;
        Ok(after)
    }
}

/// An operation that appends an entry to the ledger.
enum Append<'a> {
    Record(&'a NewPayment),
    Reverse(PaymentId, &'a NewReversal),
    Refund(PaymentId, &'a NewRefund),
}

impl Append<'_> {
    fn permission(&self) -> Permission {
        match self {
            Self::Record(_) => Permission::PaymentCreate,
            Self::Reverse(..) | Self::Refund(..) => Permission::PaymentReverse,
        }
    }
}

impl SqlLedger {
    /// Appends an entry, once per idempotency key.
    async fn append_idempotently(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        append: Append<'_>,
        key: Option<IdempotencyKey>,
    ) -> Result<Idempotent<Payment>> {
        // The caller is looked up before the transaction, to keep it short.
        let people = self.core.people([caller.user]).await?;
        let (people, key, append) = (&people, &key, &append);
        self.core
            .write(|tx| async move {
                let conn = &tx;
                lock::<deal::Entity>(conn, deal_ref.deal).await?;
                let access = self.core.access(conn, caller, org).await?;
                let scope = access.scope();
                let scope = KeyScope { name: &scope, caller, now: self.core.now() };
                let operation = Box::pin(async {
                    let deal = access.deal_for(conn, deal_ref, append.permission()).await?;
                    let context = &Context { caller, access, deal };
                    let row = match *append {
                        Append::Record(new) => self.record(conn, context, new).await?,
                        Append::Reverse(id, new) => self.reverse(conn, context, id, new).await?,
                        Append::Refund(id, new) => self.refund(conn, context, id, new).await?,
                    };
                    let caller = people.get(&caller.user).map(|person| (row.recorded_by, person.clone()));
                    Ok::<_, Error>(show(row, &People::new(caller)))
                });
                idempotency::run(conn, key.as_ref(), scope, operation).await
            })
            .await
    }
}

#[async_trait]
impl Payments for SqlLedger {
    async fn payments(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: Option<DealRef>,
        filter: Filter,
        page: PageQuery,
    ) -> Result<Page<Payment>> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        access.may(Permission::PaymentRead)?;
        let (filter, page) = apply_view(conn, &access, Viewed::Payments, filter, page).await?;
        let mut select = payment::Entity::find().filter(payment::COLUMN.org_id.eq(access.org.id));
        if let Some(deal_ref) = deal_ref {
            let deal = access.deal_for(conn, deal_ref, Permission::PaymentRead).await?;
            select = select.filter(payment::COLUMN.deal_id.eq(deal.id));
        } else {
            let deals = |permission| access.deals_for(permission).select_only().column(deal::Column::Id).into_query();
            select = select
                .filter(payment::Column::DealId.in_subquery(deals(Permission::PaymentRead)))
                .filter(payment::Column::DealId.in_subquery(deals(Permission::DealRead)));
        }
        let fields = [
            Field { name: "deal_id", column: payment::Column::DealId, kind: ValueKind::Number },
            Field {
                name: "state",
                column: payment::Column::State,
                kind: ValueKind::OneOf(&["pending", "verified", "rejected"]),
            },
            Field {
                name: "kind",
                column: payment::Column::Kind,
                kind: ValueKind::OneOf(&["payment", "refund", "reversal"]),
            },
            Field {
                name: "method",
                column: payment::Column::Method,
                kind: ValueKind::OneOf(&["bank", "cash", "cheque", "wallet", "card", "other"]),
            },
            Field { name: "currency", column: payment::Column::Currency, kind: ValueKind::Currency },
            Field { name: "amount", column: payment::Column::AmountMinor, kind: ValueKind::Money },
            Field { name: "received_on", column: payment::Column::ReceivedOn, kind: ValueKind::Day },
            Field { name: "cheque_number", column: payment::Column::ChequeNumber, kind: ValueKind::Text },
            Field { name: "created_at", column: payment::Column::CreatedAt, kind: ValueKind::Timestamp },
        ];
        select = select.filter(filter.condition(&fields, &["waiting"])?);
        // The text of the partial index: with bound values the planner could not use it.
        let waiting = Expr::cust("deals_payment.state = 'pending' AND NOT deals_payment.is_reversed");
        select = match filter.get("waiting") {
            None => select,
            Some("true") => select.filter(waiting),
            Some("false") => select.filter(waiting.not()),
            Some(_) => return Err(Error::field("waiting", "Choose from: true, false.")),
        };
        let ordering = Ordering {
            fields: &[
                ("id", payment::Column::Id),
                ("number", payment::Column::Number),
                ("received_on", payment::Column::ReceivedOn),
            ],
            default: "-number",
            id: payment::Column::Id,
        };
        let page = Page::<payment::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.take();
        let payments = self.show_payments(conn, rows).await?;
        Ok(page.with(|_| payments))
    }

    async fn record_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        new: NewPayment,
        key: Option<IdempotencyKey>,
    ) -> Result<Idempotent<Payment>> {
        new.validate()?;
        let result = self.append_idempotently(caller, org, deal_ref, Append::Record(&new), key).await;
        result.map_err(|error| error.or_duplicate(&["cheque"], "Another payment has this cheque number."))
    }

    async fn payment(&self, caller: &Caller, org: OrganizationId, deal_ref: DealRef, id: PaymentId) -> Result<Payment> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        let deal = access.deal_for(conn, deal_ref, Permission::PaymentRead).await?;
        let row = find_payment(conn, &deal, id).await?;
        self.show_payments(conn, vec![row]).await?.pop().ok_or(Error::NotFound("payment"))
    }

    async fn decide_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        id: PaymentId,
        verification: Verification,
        verdict: Verdict,
    ) -> Result<Payment> {
        verdict.validate()?;
        let verdict = &verdict;
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                lock::<deal::Entity>(conn, deal_ref.deal).await?;
                let access = self.core.access(conn, caller, org).await?;
                let deal = access.deal_for(conn, deal_ref, Permission::PaymentVerify).await?;
                self.decide(conn, &Context { caller, access, deal }, id, verification, verdict).await
            })
            .await?;
        self.show_payments(self.core.db.conn(), vec![row]).await?.pop().ok_or(Error::NotFound("payment"))
    }

    async fn reverse_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        id: PaymentId,
        new: NewReversal,
        key: Option<IdempotencyKey>,
    ) -> Result<Idempotent<Payment>> {
        new.validate()?;
        self.append_idempotently(caller, org, deal_ref, Append::Reverse(id, &new), key).await
    }

    async fn refund_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        id: PaymentId,
        new: NewRefund,
        key: Option<IdempotencyKey>,
    ) -> Result<Idempotent<Payment>> {
        new.validate()?;
        self.append_idempotently(caller, org, deal_ref, Append::Refund(id, &new), key).await
    }
}
