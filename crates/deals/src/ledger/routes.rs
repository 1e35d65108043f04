//! Payments.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{
    Caller, Json, Page, PageQuery, Path, Query, Result, Tagged,
    idempotency::{Idempotent, WithKey},
    routes,
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Filter, NewPayment, NewRefund, NewReversal, OrganizationId, Payment, Payments, Verdict, Verification,
    extract::target::{DealPath, PaymentPath},
    state::DealsState,
};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(payments))
        .routes(routes!(verification_queue))
        .routes(routes!(payments_of_deal, record_payment))
        .routes(routes!(payment))
        .routes(routes!(verify_payment))
        .routes(routes!(reject_payment))
        .routes(routes!(reverse_payment))
        .routes(routes!(refund_payment))
}

/// List the payments of the deals that the caller may see.
///
/// Sorts by `number`, `id`, `received_on`. Filters: `waiting` (`true`: pending and not reversed), `state`, `kind`,
/// `method`, `currency`, `amount`, `received_on`, `deal_id`, `cheque_number`, `created_at`, also with `__in`, `__gte`,
/// `__lte` and so on.
#[utoipa::path(get, path = "/organizations/{org}/payments/", tag = "crm",
    responses((status = 200, body = Page<Payment>)),
)]
async fn payments(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Payment>>> {
    Ok(Json(payments.payments(&caller, org, None, filter, page).await?))
}

/// List the payments that await verification, oldest first.
#[utoipa::path(get, path = "/organizations/{org}/verification-queue/", tag = "crm",
    responses((status = 200, body = Page<Payment>)),
)]
async fn verification_queue(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Payment>>> {
    let filter = filter.and("waiting", "true");
    Ok(Json(payments.payments(&caller, org, None, filter, page.or_ordered("number")).await?))
}

/// List the payments of a deal.
///
/// The orderings and filters are the same as for the list of all payments.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/payments/", tag = "crm",
    responses((status = 200, body = Page<Payment>)),
)]
pub(crate) async fn payments_of_deal(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    DealPath { org, deal }: DealPath,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Payment>>> {
    Ok(Json(payments.payments(&caller, org, Some(deal), filter, page).await?))
}

/// Record a payment for a deal.
///
/// Fails with 409 `overpayment` if it exceeds the balance, unless the organization accepts overpayments.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/payments/", tag = "crm",
    request_body = NewPayment,
    responses((status = 201, body = Payment)),
)]
pub(crate) async fn record_payment(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    DealPath { org, deal }: DealPath,
    keyed: WithKey<NewPayment>,
) -> Result<Idempotent<Payment>> {
    Ok(payments.record_payment(&caller, org, deal, keyed.value, keyed.key).await?)
}

/// Get a payment.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/payments/{payment}/", tag = "crm",
    responses((status = 200, body = Payment)),
)]
pub(crate) async fn payment(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    PaymentPath { org, deal, payment }: PaymentPath,
) -> Result<Tagged<Payment>> {
    let found = payments.payment(&caller, org, deal, payment).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Verify a payment.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/payments/{payment}/verify/", tag = "crm",
    responses((status = 200, body = Payment)),
)]
pub(crate) async fn verify_payment(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    PaymentPath { org, deal, payment }: PaymentPath,
    body: Option<Json<Verdict>>,
) -> Result<Tagged<Payment>> {
    let found = payments
        .decide_payment(&caller, org, deal, payment, Verification::Verified, body.unwrap_or_default().0)
        .await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Reject a payment.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/payments/{payment}/reject/", tag = "crm",
    responses((status = 200, body = Payment)),
)]
pub(crate) async fn reject_payment(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    PaymentPath { org, deal, payment }: PaymentPath,
    body: Option<Json<Verdict>>,
) -> Result<Tagged<Payment>> {
    let found = payments
        .decide_payment(&caller, org, deal, payment, Verification::Rejected, body.unwrap_or_default().0)
        .await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Reverse a payment in full, with a new entry.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/payments/{payment}/reverse/", tag = "crm",
    request_body = Option<NewReversal>,
    responses((status = 201, body = Payment)),
)]
pub(crate) async fn reverse_payment(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    PaymentPath { org, deal, payment }: PaymentPath,
    keyed: WithKey<Option<NewReversal>>,
) -> Result<Idempotent<Payment>> {
    Ok(payments.reverse_payment(&caller, org, deal, payment, keyed.value.unwrap_or_default(), keyed.key).await?)
}

/// Refund a verified payment in full or in part, with a new entry.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/payments/{payment}/refund/", tag = "crm",
    request_body = NewRefund,
    responses((status = 201, body = Payment)),
)]
pub(crate) async fn refund_payment(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    PaymentPath { org, deal, payment }: PaymentPath,
    keyed: WithKey<NewRefund>,
) -> Result<Idempotent<Payment>> {
    Ok(payments.refund_payment(&caller, org, deal, payment, keyed.value, keyed.key).await?)
}
