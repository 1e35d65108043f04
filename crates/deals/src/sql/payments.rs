//! The ledger. Of two payments at once the second sees what the first has left: one conditional update decides.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, Ordering, Page, PageQuery, Timestamp,
    idempotency::{Made, Once},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Set,
    sea_query::{Expr, ExprTrait},
};

use super::{People, SqlDeals, access::Access, next_number, run, store};
use crate::{
    Amount, Currency, Day, Error, Filter, MemberId, NewPayment, NewRefund, NewReversal, OrganizationId, Payment,
    PaymentId, PaymentKind, Payments, Place, Result, Verdict, Verification, Viewed,
    entity::{commission, deal, member, payment},
    filter::{Field, Holds},
    money::{LIMIT, divide_half_even},
    permission::Permission,
};

/// How many digits the number of an entry has at least.
const PAD: usize = 4;

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

/// An amount of something, in minor units.
fn something(amount: &Amount, currency: &Currency) -> Result<i64> {
    let minor = amount.minor(currency).map_err(|message| Error::field("amount", message))?;
    if minor > 0 { Ok(minor) } else { Err(Error::field("amount", "More than nothing is needed.")) }
}

/// A new entry, which has no number yet.
fn entry(deal: &deal::Model, access: &Access, kind: PaymentKind, amount: i64) -> payment::Model {
    let now = guildhall_kernel::Timestamp::EPOCH;
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
        method: crate::PaymentMethod::Other,
        cheque_number: None,
        reference: String::new(),
        received_on: Day::of(now),
        recorded_by: access.member.id,
        state: Verification::Pending,
        decided_by: None,
        decided_at: None,
        reason: String::new(),
        refunded_minor: 0,
        is_reversed: false,
        created_at: now,
        updated_at: now,
    }
}

/// So many hundredths of a per cent of an amount, rounded half to even.
fn part_of(minor: i64, rate_bp: i64) -> Result<i64> {
    let part = divide_half_even(i128::from(minor) * i128::from(rate_bp), 10_000);
    i64::try_from(part).map_err(|error| guildhall_kernel::Error::internal(error).into())
}

/// An act on the ledger, half way.
struct Act<'a> {
    caller: &'a Caller,
    access: Access,
    deal: deal::Model,
}

impl SqlDeals {
    /// An entry about a deal.
    pub(super) async fn find_payment(
        &self,
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

    async fn show_payments(&self, conn: &impl ConnectionTrait, rows: Vec<payment::Model>) -> Result<Vec<Payment>> {
        let members: Vec<MemberId> =
            rows.iter().flat_map(|row| [Some(row.recorded_by), row.decided_by]).flatten().collect();
        let people = self.members_as_people(conn, members).await?;
        Ok(rows.into_iter().map(|row| show(row, &people)).collect())
    }

    /// Gives an entry its number and stores it.
    async fn append(
        &self,
        conn: &impl ConnectionTrait,
        act: &Act<'_>,
        mut row: payment::Model,
    ) -> Result<payment::Model> {
        let now = self.now();
        row.created_at = now;
        row.updated_at = now;
        row.number = next_number(conn, row.org_id, "payment").await?;
        row.code = format!("TXN-{:0PAD$}", row.number);
        let row = payment::ActiveModel { id: NotSet, ..row.into() }.reset_all().insert(conn).await?;
        self.made(conn, (act.caller, &act.access), "deals.record_payment", &row).await?;
        Ok(row)
    }

    /// Says of a payment that money of it went back, while its deal is locked.
    async fn mark(
        &self,
        conn: &impl ConnectionTrait,
        act: &Act<'_>,
        before: &payment::Model,
        after: &payment::Model,
    ) -> Result<()> {
        store(conn, before, after).await?;
        self.changed(conn, (act.caller, &act.access), "deals.give_back_payment", before, after).await
    }

    /// What was paid for a deal is so much more, or less.
    async fn count(&self, conn: &impl ConnectionTrait, act: &Act<'_>, received: i64, verified: i64) -> Result<()> {
        let (deal, now) = (&act.deal, self.now());
        let sql = "UPDATE deals_deal SET received_minor = received_minor + $1, verified_minor = verified_minor + $2, \
                   updated_at = $3 WHERE org_id = $4 AND id = $5";
        let values = [received.into(), verified.into(), now.into(), deal.org_id.into(), deal.id.into()];
        run(conn, sql, values).await?;
        self.note_sums(conn, act, received, verified, now).await
    }

    /// Notes what was paid for a deal before and after, so that it can be shown as it was.
    async fn note_sums(
        &self,
        conn: &impl ConnectionTrait,
        act: &Act<'_>,
        received: i64,
        verified: i64,
        now: Timestamp,
    ) -> Result<()> {
        let after = deal::Model {
            received_minor: act.deal.received_minor + received,
            verified_minor: act.deal.verified_minor + verified,
            updated_at: now,
            ..act.deal.clone()
        };
        self.changed(conn, (act.caller, &act.access), "deals.count_payment", &act.deal, &after).await
    }

    async fn record(&self, conn: &impl ConnectionTrait, act: &Act<'_>, new: &NewPayment) -> Result<payment::Model> {
        let Act { access, deal, .. } = act;
        if new.currency.as_ref().is_some_and(|currency| *currency != deal.currency) {
            return Err(Error::CurrencyMismatch(deal.currency.to_string()));
        }
        let amount = something(&new.amount, &deal.currency)?;
        if new.cheque_number.is_some() && new.method != crate::PaymentMethod::Cheque {
            return Err(Error::field("cheque_number", "Only a cheque has one."));
        }
        let sql = "UPDATE deals_deal SET received_minor = received_minor + $1, updated_at = $2 \
                   WHERE org_id = $3 AND id = $4 AND deleted_at IS NULL AND received_minor + $1 <= $5 \
                   AND (value_minor >= received_minor + $1 OR $6)";
        let (most, now) = (LIMIT - 1, self.now());
        let values = [
            amount.into(),
            now.into(),
            deal.org_id.into(),
            deal.id.into(),
            most.into(),
            access.org.takes_credit.into(),
        ];
        if run(conn, sql, values).await? == 0 {
            let left = deal::Entity::find_by_id(deal.id).one(conn).await?.ok_or(Error::DealNotFound(deal.id))?;
            let left = i128::from(left.value_minor) - i128::from(left.received_minor);
            return Err(Error::Overpayment { max_allowed: deal.currency.format(left.max(0)) });
        }
        self.note_sums(conn, act, amount, 0, now).await?;
        let row = payment::Model {
            method: new.method,
            cheque_number: new.cheque_number.as_ref().map(|number| number.trim().to_owned()),
            reference: new.reference.trim().to_owned(),
            received_on: new.received_on.clone().unwrap_or_else(|| access.org.day(self.now())),
            ..entry(deal, access, PaymentKind::Payment, amount)
        };
        self.append(conn, act, row).await
    }

    async fn reverse(
        &self,
        conn: &impl ConnectionTrait,
        act: &Act<'_>,
        id: PaymentId,
        new: &NewReversal,
    ) -> Result<payment::Model> {
        let Act { access, deal, .. } = act;
        let of = self.find_payment(conn, deal, id).await?;
        let standing = of.kind == PaymentKind::Payment && of.state != Verification::Rejected;
        if !standing || of.is_reversed || of.refunded_minor > 0 {
            return Err(Error::IllegalTransition("Only a payment that stands whole is taken back."));
        }
        let whole = payment::Model { is_reversed: true, updated_at: self.now(), ..of.clone() };
        self.mark(conn, act, &of, &whole).await?;
        let verified = if of.state == Verification::Verified { -of.amount_minor } else { 0 };
        self.count(conn, act, -of.amount_minor, verified).await?;
        let row = self.back(access, deal, &of, PaymentKind::Reversal, of.amount_minor, &new.reason);
        let row = self.append(conn, act, row).await?;
        self.give_back(conn, &of, &row).await?;
        Ok(row)
    }

    async fn refund(
        &self,
        conn: &impl ConnectionTrait,
        act: &Act<'_>,
        id: PaymentId,
        new: &NewRefund,
    ) -> Result<payment::Model> {
        let Act { access, deal, .. } = act;
        let of = self.find_payment(conn, deal, id).await?;
        if of.kind != PaymentKind::Payment || of.state != Verification::Verified || of.is_reversed {
            return Err(Error::IllegalTransition("Only a verified payment that stands is given back."));
        }
        let amount = something(&new.amount, &deal.currency)?;
        let left = of.amount_minor - of.refunded_minor;
        if amount > left {
            let left = deal.currency.format(i128::from(left));
            return Err(Error::field("amount", format!("Only {left} is left of it.")));
        }
        let refunded_minor = of.refunded_minor + amount;
        self.mark(conn, act, &of, &payment::Model { refunded_minor, updated_at: self.now(), ..of.clone() }).await?;
        self.count(conn, act, -amount, -amount).await?;
        let row = self.back(access, deal, &of, PaymentKind::Refund, amount, &new.reason);
        let row = self.append(conn, act, row).await?;
        self.give_back(conn, &of, &row).await?;
        Ok(row)
    }

    /// The entry that takes money of another back.
    fn back(
        &self,
        access: &Access,
        deal: &deal::Model,
        of: &payment::Model,
        kind: PaymentKind,
        amount: i64,
        reason: &str,
    ) -> payment::Model {
        let now = self.now();
        payment::Model {
            of_id: Some(of.id),
            method: of.method,
            reference: of.code.clone(),
            received_on: access.org.day(now),
            state: Verification::Verified,
            decided_by: Some(access.member.id),
            decided_at: Some(now),
            reason: reason.trim().to_owned(),
            ..entry(deal, access, kind, amount)
        }
    }

    /// The deal's owner earns their part of a payment that is verified.
    async fn earn(&self, conn: &impl ConnectionTrait, deal: &deal::Model, of: &payment::Model) -> Result<()> {
        let owner = member::Entity::find_by_id(deal.owner_id).one(conn).await?;
        let Some(owner) = owner.filter(|owner| owner.commission_bp > 0) else { return Ok(()) };
        let amount = part_of(of.amount_minor, owner.commission_bp)?;
        self.note_commission(conn, of, owner.id, owner.commission_bp, amount).await
    }

    /// Whoever earned by a payment no longer does by what of it goes back: what is left of it is always their
    /// part of what is left of the payment, to the minor unit.
    async fn give_back(&self, conn: &impl ConnectionTrait, of: &payment::Model, back: &payment::Model) -> Result<()> {
        let earned = commission::Entity::find().filter(commission::COLUMN.payment_id.eq(of.id)).one(conn).await?;
        let Some(earned) = earned else { return Ok(()) };
        let before = of.amount_minor - of.refunded_minor;
        let amount = part_of(before - back.amount_minor, earned.rate_bp)? - part_of(before, earned.rate_bp)?;
        self.note_commission(conn, back, earned.member_id, earned.rate_bp, amount).await
    }

    async fn note_commission(
        &self,
        conn: &impl ConnectionTrait,
        of: &payment::Model,
        member: MemberId,
        rate_bp: i64,
        amount_minor: i64,
    ) -> Result<()> {
        let row = commission::ActiveModel {
            id: NotSet,
            org_id: Set(of.org_id),
            member_id: Set(member),
            deal_id: Set(of.deal_id),
            payment_id: Set(of.id),
            rate_bp: Set(rate_bp),
            amount_minor: Set(amount_minor),
            currency: Set(of.currency.clone()),
            earned_on: Set(of.received_on.clone()),
            created_at: Set(self.now()),
        };
        commission::Entity::insert(row).exec_without_returning(conn).await?;
        Ok(())
    }

    async fn decide(
        &self,
        conn: &impl ConnectionTrait,
        act: &Act<'_>,
        id: PaymentId,
        verdict: Verification,
        why: &Verdict,
    ) -> Result<payment::Model> {
        let Act { caller, access, deal } = act;
        let before = self.find_payment(conn, deal, id).await?;
        if before.kind != PaymentKind::Payment || before.state != Verification::Pending || before.is_reversed {
            return Err(Error::IllegalTransition("Somebody has decided about it already."));
        }
        if access.org.four_eyes && before.recorded_by == access.member.id {
            return Err(Error::Escalation("Whoever recorded a payment does not verify it."));
        }
        let now = self.now();
        let sql = "UPDATE deals_payment SET state = $1, decided_by = $2, decided_at = $3, reason = $4, updated_at = $3 \
                   WHERE org_id = $5 AND id = $6";
        let values = [
            verdict.into(),
            access.member.id.into(),
            now.into(),
            why.reason.trim().into(),
            deal.org_id.into(),
            id.into(),
        ];
        run(conn, sql, values).await?;
        match verdict {
            Verification::Verified => {
                self.count(conn, act, 0, before.amount_minor).await?;
                self.earn(conn, deal, &before).await?;
            }
            _ => self.count(conn, act, -before.amount_minor, 0).await?,
        }
        let after = self.find_payment(conn, deal, id).await?;
        self.changed(conn, (caller, access), "deals.decide_payment", &before, &after).await?;
        Ok(after)
    }
}

/// One act that appends to the ledger, once however often it is sent.
macro_rules! once {
    ($self:ident, $caller:ident, $org:ident, $at:ident, $permission:expr, $once:ident, |$conn:ident, $act:ident| $append:expr) => {{
        // Whoever is named in the answer; asked for before the transaction, where nothing slow belongs.
        let own = $self.people([$caller.user]).await?;
        let (own, once) = (&own, &$once);
        $self
            .act(|tx| async move {
                let $conn = tx.conn();
                super::lock::<deal::Entity>($conn, $at.deal).await?;
                let access = $self.enter($conn, $caller, $org).await?;
                let realm = access.realm();
                if let Some(once) = once
                    && let Some(answer) = once.before($conn, &realm, $caller, $self.now()).await?
                {
                    return Ok(Made::Before(answer));
                }
                let deal = access.deal_for($conn, $at, $permission).await?;
                let $act = &Act { caller: $caller, access, deal };
                let row = $append.await?;
                let caller = own.get(&$caller.user).map(|person| (row.recorded_by, person.clone()));
                let payment = show(row, &People::of(caller));
                if let Some(once) = once {
                    once.after($conn, &realm, $caller, &payment, $self.now()).await?;
                }
                Ok::<_, Error>(Made::New(payment))
            })
            .await
    }};
}

#[async_trait]
impl Payments for SqlDeals {
    async fn payments(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Option<Place>,
        filter: Filter,
        page: PageQuery,
    ) -> Result<Page<Payment>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        access.may(Permission::PaymentRead)?;
        let (filter, page) = self.through_view(conn, &access, Viewed::Payments, filter, page).await?;
        let mut select = payment::Entity::find().filter(payment::COLUMN.org_id.eq(access.org.id));
        if let Some(at) = at {
            let deal = access.deal_for(conn, at, Permission::PaymentRead).await?;
            select = select.filter(payment::COLUMN.deal_id.eq(deal.id));
        } else {
            let seen = |permission| access.deals_for(permission).select_only().column(deal::Column::Id).into_query();
            select = select
                .filter(payment::Column::DealId.in_subquery(seen(Permission::PaymentRead)))
                .filter(payment::Column::DealId.in_subquery(seen(Permission::DealRead)));
        }
        let fields = [
            Field { name: "deal_id", column: payment::Column::DealId, holds: Holds::Number },
            Field {
                name: "state",
                column: payment::Column::State,
                holds: Holds::Word(&["pending", "verified", "rejected"]),
            },
            Field {
                name: "kind",
                column: payment::Column::Kind,
                holds: Holds::Word(&["payment", "refund", "reversal"]),
            },
            Field {
                name: "method",
                column: payment::Column::Method,
                holds: Holds::Word(&["bank", "cash", "cheque", "wallet", "card", "other"]),
            },
            Field { name: "currency", column: payment::Column::Currency, holds: Holds::Currency },
            Field { name: "amount", column: payment::Column::AmountMinor, holds: Holds::Money },
            Field { name: "received_on", column: payment::Column::ReceivedOn, holds: Holds::Day },
            Field { name: "cheque_number", column: payment::Column::ChequeNumber, holds: Holds::Text },
            Field { name: "created_at", column: payment::Column::CreatedAt, holds: Holds::Moment },
        ];
        select = select.filter(filter.condition(&fields, &["waiting"])?);
        // As the partial index has it; a bound value would prove nothing to a planner.
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
            usual: "-number",
            id: payment::Column::Id,
        };
        let page = Page::<payment::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.take();
        let shown = self.show_payments(conn, rows).await?;
        Ok(page.with(|_| shown))
    }

    async fn record_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        new: NewPayment,
        once: Option<Once>,
    ) -> Result<Made<Payment>> {
        new.validate()?;
        let new = &new;
        let outcome =
            once!(self, caller, org, at, Permission::PaymentCreate, once, |conn, act| self.record(conn, act, new));
        outcome.map_err(|error| error.or_duplicate(&["cheque"], "A payment that stands has this cheque number."))
    }

    async fn payment(&self, caller: &Caller, org: OrganizationId, at: Place, id: PaymentId) -> Result<Payment> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let deal = access.deal_for(conn, at, Permission::PaymentRead).await?;
        let row = self.find_payment(conn, &deal, id).await?;
        self.show_payments(conn, vec![row]).await?.pop().ok_or(Error::NotFound("payment"))
    }

    async fn decide_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        id: PaymentId,
        verdict: Verification,
        why: Verdict,
    ) -> Result<Payment> {
        why.validate()?;
        let why = &why;
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                super::lock::<deal::Entity>(conn, at.deal).await?;
                let access = self.enter(conn, caller, org).await?;
                let deal = access.deal_for(conn, at, Permission::PaymentVerify).await?;
                self.decide(conn, &Act { caller, access, deal }, id, verdict, why).await
            })
            .await?;
        self.show_payments(self.db.conn(), vec![row]).await?.pop().ok_or(Error::NotFound("payment"))
    }

    async fn reverse_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        id: PaymentId,
        new: NewReversal,
        once: Option<Once>,
    ) -> Result<Made<Payment>> {
        new.validate()?;
        let new = &new;
        once!(self, caller, org, at, Permission::PaymentReverse, once, |conn, act| self.reverse(conn, act, id, new))
    }

    async fn refund_payment(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        id: PaymentId,
        new: NewRefund,
        once: Option<Once>,
    ) -> Result<Made<Payment>> {
        new.validate()?;
        let new = &new;
        once!(self, caller, org, at, Permission::PaymentReverse, once, |conn, act| self.refund(conn, act, id, new))
    }
}
