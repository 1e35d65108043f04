//! The ledger: its entries, as the API shows them, and the operations that append or decide them.

mod commission;
mod entries;

use async_trait::async_trait;
use entries::Context;
use garde::Validate;
use guildhall_kernel::{
    Caller, Ordering, Page, PageQuery, db,
    idempotency::{self, IdempotencyKey, Idempotent, KeyScope},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    DealRef, Error, Filter, MemberId, NewPayment, NewRefund, NewReversal, OrganizationId, Payment, PaymentId, Payments,
    Result, Verdict, Verification, Viewed,
    core::{Core, Field, People, ValueKind, views::apply_view},
    entity::{deal, payment},
    permission::Permission,
};

/// SQL condition: an entry is to be verified or rejected. With bound values, the partial index could not be used.
pub(crate) const IS_WAITING: &str = "deals_payment.state = 'pending' AND NOT deals_payment.is_reversed";

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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<deal::Entity>(conn, deal_ref.deal).await?;
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
        let waiting = Expr::cust(IS_WAITING);
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
        let (rows, page) = page.split();
        let payments = self.show_payments(conn, rows).await?;
        Ok(page.with_results(|_| payments))
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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<deal::Entity>(conn, deal_ref.deal).await?;
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
