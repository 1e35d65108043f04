//! The ledger.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{
    Caller, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Tagged,
    idempotency::{Keyed, Made},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::DealsState;
use crate::{
    ClientId, DealId, Filter, NewPayment, NewRefund, NewReversal, OrganizationId, Payment, PaymentId, Payments, Place,
    Verdict, Verification,
};

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(payments))
        .routes(routes!(verification_queue))
        .routes(routes!(payments_of_deal, record_payment))
        .routes(routes!(payment))
        .routes(routes!(verify_payment))
        .routes(routes!(reject_payment))
        .routes(routes!(reverse_payment))
        .routes(routes!(refund_payment))
        .routes(routes!(payments_of_deal_of_client, record_payment_of_client))
        .routes(routes!(payment_of_client))
        .routes(routes!(verify_payment_of_client))
        .routes(routes!(reject_payment_of_client))
        .routes(routes!(reverse_payment_of_client))
        .routes(routes!(refund_payment_of_client))
}

/// The payments of the deals that the caller may see. Sorts by `number`, `id`, `received_on`; narrowed by `waiting` (nobody has decided about it), `state`, `kind`, `method`, `currency`, `amount`, `received_on`, `deal_id`, `cheque_number`, with `__in`, `__gte`, `__lte` and so on.
#[utoipa::path(get, path = "/organizations/{org}/payments/", tag = "crm",
    params(("org" = OrganizationId, Path), PageParams, Filter),
    responses((status = 200, body = Page<Payment>), (status = "4XX", body = Problem)),
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

/// The payments that nobody has decided about, the oldest first.
#[utoipa::path(get, path = "/organizations/{org}/verification-queue/", tag = "crm",
    params(("org" = OrganizationId, Path), PageParams, Filter),
    responses((status = 200, body = Page<Payment>), (status = "4XX", body = Problem)),
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

/// The payments of a deal. Sorts by `number`, `id`, `received_on`; narrowed by `waiting` (nobody has decided about it), `state`, `kind`, `method`, `currency`, `amount`, `received_on`, `deal_id`, `cheque_number`, with `__in`, `__gte`, `__lte` and so on.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/payments/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path), PageParams, Filter),
    responses((status = 200, body = Page<Payment>), (status = "4XX", body = Problem)),
)]
async fn payments_of_deal(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Payment>>> {
    Ok(Json(payments.payments(&caller, org, Some(deal.into()), filter, page).await?))
}

/// Record a payment of a deal; 409 `overpayment` where it is more than is left to be paid.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/payments/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("deal" = DealId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key it is done once"),
    ),
    request_body = NewPayment,
    responses((status = 201, body = Payment), (status = "4XX", body = Problem)),
)]
async fn record_payment(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    keyed: Keyed<NewPayment>,
) -> Result<Made<Payment>> {
    Ok(payments.record_payment(&caller, org, deal.into(), keyed.value, keyed.once).await?)
}

/// A payment of a deal.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/payments/{payment}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path), ("payment" = PaymentId, Path)),
    responses(
        (status = 200, body = Payment, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn payment(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, deal, payment)): Path<(OrganizationId, DealId, PaymentId)>,
) -> Result<Tagged<Payment>> {
    let found = payments.payment(&caller, org, deal.into(), payment).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Say that a payment came.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/payments/{payment}/verify/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path), ("payment" = PaymentId, Path)),
    responses(
        (status = 200, body = Payment, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn verify_payment(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, deal, payment)): Path<(OrganizationId, DealId, PaymentId)>,
    body: Option<Json<Verdict>>,
) -> Result<Tagged<Payment>> {
    let found = payments
        .decide_payment(&caller, org, deal.into(), payment, Verification::Verified, body.unwrap_or_default().0)
        .await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Say that a payment did not come.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/payments/{payment}/reject/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path), ("payment" = PaymentId, Path)),
    responses(
        (status = 200, body = Payment, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn reject_payment(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, deal, payment)): Path<(OrganizationId, DealId, PaymentId)>,
    body: Option<Json<Verdict>>,
) -> Result<Tagged<Payment>> {
    let found = payments
        .decide_payment(&caller, org, deal.into(), payment, Verification::Rejected, body.unwrap_or_default().0)
        .await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Take a payment back whole, by an entry of its own.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/payments/{payment}/reverse/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("deal" = DealId, Path),
        ("payment" = PaymentId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key it is done once"),
    ),
    request_body = Option<NewReversal>,
    responses((status = 201, body = Payment), (status = "4XX", body = Problem)),
)]
async fn reverse_payment(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, deal, payment)): Path<(OrganizationId, DealId, PaymentId)>,
    keyed: Keyed<Option<NewReversal>>,
) -> Result<Made<Payment>> {
    Ok(payments
        .reverse_payment(&caller, org, deal.into(), payment, keyed.value.unwrap_or_default(), keyed.once)
        .await?)
}

/// Give some of a verified payment back, by an entry of its own.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/payments/{payment}/refund/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("deal" = DealId, Path),
        ("payment" = PaymentId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key it is done once"),
    ),
    request_body = NewRefund,
    responses((status = 201, body = Payment), (status = "4XX", body = Problem)),
)]
async fn refund_payment(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, deal, payment)): Path<(OrganizationId, DealId, PaymentId)>,
    keyed: Keyed<NewRefund>,
) -> Result<Made<Payment>> {
    Ok(payments.refund_payment(&caller, org, deal.into(), payment, keyed.value, keyed.once).await?)
}

/// The payments of a deal of a client. Sorts by `number`, `id`, `received_on`; narrowed by `waiting` (nobody has decided about it), `state`, `kind`, `method`, `currency`, `amount`, `received_on`, `deal_id`, `cheque_number`, with `__in`, `__gte`, `__lte` and so on.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/deals/{deal}/payments/", tag = "crm",
    params(("org" = OrganizationId, Path), ("client" = ClientId, Path), ("deal" = DealId, Path), PageParams, Filter),
    responses((status = 200, body = Page<Payment>), (status = "4XX", body = Problem)),
)]
async fn payments_of_deal_of_client(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, client, deal)): Path<(OrganizationId, ClientId, DealId)>,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Payment>>> {
    Ok(Json(payments.payments(&caller, org, Some(Place { client: Some(client), deal }), filter, page).await?))
}

/// Record a payment of a deal of a client; 409 `overpayment` where it is more than is left to be paid.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/deals/{deal}/payments/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key it is done once"),
    ),
    request_body = NewPayment,
    responses((status = 201, body = Payment), (status = "4XX", body = Problem)),
)]
async fn record_payment_of_client(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, client, deal)): Path<(OrganizationId, ClientId, DealId)>,
    keyed: Keyed<NewPayment>,
) -> Result<Made<Payment>> {
    Ok(payments.record_payment(&caller, org, Place { client: Some(client), deal }, keyed.value, keyed.once).await?)
}

/// A payment of a deal of a client.
#[utoipa::path(get, path = "/organizations/{org}/clients/{client}/deals/{deal}/payments/{payment}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("payment" = PaymentId, Path),
    ),
    responses(
        (status = 200, body = Payment, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn payment_of_client(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, client, deal, payment)): Path<(OrganizationId, ClientId, DealId, PaymentId)>,
) -> Result<Tagged<Payment>> {
    let found = payments.payment(&caller, org, Place { client: Some(client), deal }, payment).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Say that a payment came.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/deals/{deal}/payments/{payment}/verify/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("payment" = PaymentId, Path),
    ),
    responses(
        (status = 200, body = Payment, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn verify_payment_of_client(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, client, deal, payment)): Path<(OrganizationId, ClientId, DealId, PaymentId)>,
    body: Option<Json<Verdict>>,
) -> Result<Tagged<Payment>> {
    let found = payments
        .decide_payment(
            &caller,
            org,
            Place { client: Some(client), deal },
            payment,
            Verification::Verified,
            body.unwrap_or_default().0,
        )
        .await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Say that a payment did not come.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/deals/{deal}/payments/{payment}/reject/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("payment" = PaymentId, Path),
    ),
    responses(
        (status = 200, body = Payment, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn reject_payment_of_client(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, client, deal, payment)): Path<(OrganizationId, ClientId, DealId, PaymentId)>,
    body: Option<Json<Verdict>>,
) -> Result<Tagged<Payment>> {
    let found = payments
        .decide_payment(
            &caller,
            org,
            Place { client: Some(client), deal },
            payment,
            Verification::Rejected,
            body.unwrap_or_default().0,
        )
        .await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Take a payment back whole, by an entry of its own.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/deals/{deal}/payments/{payment}/reverse/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("payment" = PaymentId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key it is done once"),
    ),
    request_body = Option<NewReversal>,
    responses((status = 201, body = Payment), (status = "4XX", body = Problem)),
)]
async fn reverse_payment_of_client(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, client, deal, payment)): Path<(OrganizationId, ClientId, DealId, PaymentId)>,
    keyed: Keyed<Option<NewReversal>>,
) -> Result<Made<Payment>> {
    Ok(payments
        .reverse_payment(
            &caller,
            org,
            Place { client: Some(client), deal },
            payment,
            keyed.value.unwrap_or_default(),
            keyed.once,
        )
        .await?)
}

/// Give some of a verified payment back, by an entry of its own.
#[utoipa::path(post, path = "/organizations/{org}/clients/{client}/deals/{deal}/payments/{payment}/refund/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("payment" = PaymentId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key it is done once"),
    ),
    request_body = NewRefund,
    responses((status = 201, body = Payment), (status = "4XX", body = Problem)),
)]
async fn refund_payment_of_client(
    State(payments): State<Arc<dyn Payments>>,
    caller: Caller,
    Path((org, client, deal, payment)): Path<(OrganizationId, ClientId, DealId, PaymentId)>,
    keyed: Keyed<NewRefund>,
) -> Result<Made<Payment>> {
    Ok(payments
        .refund_payment(&caller, org, Place { client: Some(client), deal }, payment, keyed.value, keyed.once)
        .await?)
}
