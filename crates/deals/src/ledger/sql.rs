//! The ledger: its entries, as the API shows them, and the operations that append or decide them.

mod commission;
mod entries;

use async_trait::async_trait;
use entries::Context;
use futures_util::future::OptionFuture;
use garde::Validate;
use guildhall_kernel::{
    Caller, Ordering, Page, PageQuery,
    db::{self, QueryTemplate, Tx},
    idempotency::{IdempotencyKey, Idempotent},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, SelectStatement},
};

use crate::{
    DealId, DealRef, Error, Filter, MemberId, NewPayment, NewRefund, NewReversal, OrganizationId, Payment, PaymentId,
    Payments, Result, Verdict, Verification, Viewed,
    core::{
        Conn, Core, Field, People, ValueKind, access::Access, objects::stored_deal, take_numbers, views::apply_view,
    },
    entity::{deal, payment},
    event::{PaymentData, PaymentRecorded},
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

static ENTRY: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [org, deal, id] = *ids else { return SelectStatement::new() };
    payment::Entity::find_by_id(PaymentId(id))
        .filter(payment::COLUMN.org_id.eq(OrganizationId(org)))
        .filter(payment::COLUMN.deal_id.eq(DealId(deal)))
        .into_query()
});

/// An entry of a deal.
pub(crate) async fn find_payment(
    conn: &impl ConnectionTrait,
    (org, deal): (OrganizationId, DealId),
    id: PaymentId,
) -> Result<payment::Model> {
    let found = ENTRY.row(conn, &(), &[org.0, deal.0, id.0]).await?;
    found.ok_or(Error::NotFound("payment"))
}

/// The ledger: payments, refunds and reversals, on a database.
#[derive(Clone)]
pub struct SqlLedger {
    pub(crate) core: Core,
}

impl SqlLedger {
    /// Loads the caller's access and an entry of a deal, for an operation that needs this permission for the deal.
    async fn access_to_payment<C: Conn>(
        &self,
        conn: &C,
        caller: &Caller,
        (org, deal, id): (OrganizationId, DealRef, PaymentId),
        permission: Permission,
    ) -> Result<(Access, deal::Model, payment::Model)> {
        let pipeline = conn.pipeline();
        let read = async {
            tokio::join!(stored_deal(&pipeline, org, deal.deal), find_payment(&pipeline, (org, deal.deal), id))
        };
        let (access, (deal_row, row)) = self.core.access_and((conn, &pipeline), caller, org, read).await?;
        let deal_row = access.permitted_deal(deal_row?, deal, permission)?;
        Ok((access, deal_row, row?))
    }

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

    /// The payment that is reversed or refunded.
    fn original(&self) -> Option<PaymentId> {
        match self {
            Self::Record(_) => None,
            Self::Reverse(id, _) | Self::Refund(id, _) => Some(*id),
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
                db::lock::<deal::Entity>(&tx, deal_ref.deal).await?;
                let (access, replayed) = self.core.access_and_replay(&tx, caller, org, key.as_ref()).await?;
                if let Some(response) = replayed? {
                    return Ok(Idempotent::Replayed(response));
                }
                let row = Box::pin(self.append(&tx, (caller, &access), deal_ref, append)).await?;
                let event = PaymentRecorded { organization_id: org, payment: PaymentData::from(&row) };
                let caller_as_person = people.get(&caller.user).map(|person| (row.recorded_by, person.clone()));
                let payment = show(row, &People::new(caller_as_person));
                if let Some(key) = key {
                    key.store(&tx, &access.scope(), caller, &payment, self.core.now()).await?;
                }
                tx.emit(&event).await?;
                Ok(Idempotent::Created(payment))
            })
            .await
    }

    /// Appends an entry; the caller emits the event.
    async fn append(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        deal_ref: DealRef,
        append: &Append<'_>,
    ) -> Result<payment::Model> {
        let (pipeline, org) = (&tx.pipeline(), access.org.id);
        let original = append.original().map(|id| find_payment(pipeline, (org, deal_ref.deal), id));
        let (deal, original, number) = tokio::join!(
            access.deal_for(pipeline, deal_ref, append.permission()),
            OptionFuture::from(original),
            take_numbers(pipeline, org, "payment", 1),
        );
        let context = &Context { caller, access, deal: deal? };
        let (original, number) = (original.transpose()?, number?);
        match (append, original) {
            (Append::Record(new), _) => self.record(tx, context, number, new).await,
            (Append::Reverse(_, new), Some(original)) => self.reverse(tx, context, number, (&original, new)).await,
            (Append::Refund(_, new), Some(original)) => self.refund(tx, context, number, (&original, new)).await,
            (Append::Reverse(..) | Append::Refund(..), None) => Err(Error::NotFound("payment")),
        }
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
        let pipeline = conn.pipeline();
        let read = OptionFuture::from(deal_ref.map(|deal_ref| stored_deal(&pipeline, org, deal_ref.deal)));
        let (access, deal) = self.core.access_and((conn, &pipeline), caller, org, read).await?;
        access.may(Permission::PaymentRead)?;
        let (filter, page) = apply_view(conn, &access, Viewed::Payments, filter, page).await?;
        let mut select = payment::Entity::find().filter(payment::COLUMN.org_id.eq(access.org.id));
        if let (Some(deal_ref), Some(deal)) = (deal_ref, deal) {
            let deal = access.permitted_deal(deal?, deal_ref, Permission::PaymentRead)?;
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
        let (_, _, row) = self.access_to_payment(conn, caller, (org, deal_ref, id), Permission::PaymentRead).await?;
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
                db::lock::<deal::Entity>(&tx, deal_ref.deal).await?;
                let path = (org, deal_ref, id);
                let (access, deal, row) = self.access_to_payment(&tx, caller, path, Permission::PaymentVerify).await?;
                self.decide(&tx, &Context { caller, access: &access, deal }, &row, verification, verdict).await
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
