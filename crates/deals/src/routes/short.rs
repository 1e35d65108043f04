//! The short paths of earlier front ends, which name no organization: it is the only one that the caller is in,
//! or the one that `X-Organization` names. They reach the same acts.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts, State},
    http::{StatusCode, request::Parts},
    response::Response,
};
use guildhall_kernel::{
    Caller, Error, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Slice, SliceParams,
    SliceQuery, Tagged,
    idempotency::{Keyed, Made},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{DealsState, Moment, Removal};
use crate::{
    Activity, Client, ClientId, ClientPatch, Clients, Deal, DealId, DealPatch, Deals, Filter, NewActivity, NewClient,
    NewDeal, NewPayment, NewReversal, OrganizationId, Organizations, Payment, PaymentId, Payments, Place, Work,
};

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(short_clients, short_create_client))
        .routes(routes!(short_client, short_change_client, short_delete_client))
        .routes(routes!(short_deals, short_create_deal))
        .routes(routes!(short_deal, short_change_deal, short_delete_deal))
        .routes(routes!(short_activities, short_log_activity))
        .routes(routes!(short_payments, short_record_payment))
        .routes(routes!(short_payment))
        .routes(routes!(short_reverse_payment))
}

/// The organization that a short path means, for whoever asks.
struct Meant {
    caller: Caller,
    org: OrganizationId,
}

impl<S> FromRequestParts<S> for Meant
where
    guildhall_kernel::Auth: FromRef<S>,
    Arc<dyn Organizations>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let caller = <Caller as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        let org = match parts.headers.get("x-organization") {
            Some(named) => {
                let named = named.to_str().ok().and_then(|named| named.trim().parse().ok());
                OrganizationId(named.ok_or_else(|| Error::field("X-Organization", "A whole number is needed."))?)
            }
            None => <Arc<dyn Organizations>>::from_ref(state).only_organization(&caller).await?,
        };
        Ok(Self { caller, org })
    }
}

/// The clients of the caller's organization.
#[utoipa::path(get, path = "/clients/", tag = "crm",
    params(
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
        PageParams,
        Filter,
    ),
    responses((status = 200, body = Page<Client>), (status = "4XX", body = Problem)),
)]
async fn short_clients(
    State(clients): State<Arc<dyn Clients>>,
    Meant { caller, org }: Meant,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Client>>> {
    Ok(Json(clients.clients(&caller, org, filter, page).await?))
}

/// Add a client.
#[utoipa::path(post, path = "/clients/", tag = "crm",
    params(
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
    ),
    responses((status = 201, body = Client), (status = "4XX", body = Problem)),
)]
async fn short_create_client(
    State(clients): State<Arc<dyn Clients>>,
    Meant { caller, org }: Meant,
    Json(body): Json<NewClient>,
) -> Result<(StatusCode, Tagged<Client>)> {
    let found = clients.create_client(&caller, org, body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// A client.
#[utoipa::path(get, path = "/clients/{client}/", tag = "crm",
    params(
        ("client" = ClientId, Path),
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
    ),
    responses((status = 200, body = Client), (status = "4XX", body = Problem)),
)]
async fn short_client(
    State(clients): State<Arc<dyn Clients>>,
    Meant { caller, org }: Meant,
    Path(client): Path<ClientId>,
) -> Result<Tagged<Client>> {
    let found = clients.client(&caller, org, client).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Change a client.
#[utoipa::path(patch, path = "/clients/{client}/", tag = "crm",
    params(
        ("client" = ClientId, Path),
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 200, body = Client), (status = "4XX", body = Problem)),
)]
async fn short_change_client(
    State(clients): State<Arc<dyn Clients>>,
    Meant { caller, org }: Meant,
    Path(client): Path<ClientId>,
    known: IfMatch,
    Json(body): Json<ClientPatch>,
) -> Result<Tagged<Client>> {
    let found = clients.change_client(&caller, org, client, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Put a client into the trash, or remove it for good.
#[utoipa::path(delete, path = "/clients/{client}/", tag = "crm",
    params(
        ("client" = ClientId, Path),
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
        Removal,
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn short_delete_client(
    State(clients): State<Arc<dyn Clients>>,
    Meant { caller, org }: Meant,
    Path(client): Path<ClientId>,
    Query(how): Query<Removal>,
    known: IfMatch,
) -> Result<StatusCode> {
    clients.delete_client(&caller, org, client, how.purge, how.token, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The deals of a client.
#[utoipa::path(get, path = "/clients/{client}/deals/", tag = "crm",
    params(
        ("client" = ClientId, Path),
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
        PageParams,
        Filter,
    ),
    responses((status = 200, body = Page<Deal>), (status = "4XX", body = Problem)),
)]
async fn short_deals(
    State(deals): State<Arc<dyn Deals>>,
    Meant { caller, org }: Meant,
    Path(client): Path<ClientId>,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Deal>>> {
    Ok(Json(deals.deals(&caller, org, Some(client), filter, page).await?))
}

/// Add a deal of a client.
#[utoipa::path(post, path = "/clients/{client}/deals/", tag = "crm",
    params(
        ("client" = ClientId, Path),
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key it is done once"),
    ),
    request_body = NewDeal,
    responses((status = 201, body = Deal), (status = "4XX", body = Problem)),
)]
async fn short_create_deal(
    State(deals): State<Arc<dyn Deals>>,
    Meant { caller, org }: Meant,
    Path(client): Path<ClientId>,
    keyed: Keyed<NewDeal>,
) -> Result<Made<Deal>> {
    Ok(deals.create_deal(&caller, org, Some(client), keyed.value, keyed.once).await?)
}

/// A deal of a client.
#[utoipa::path(get, path = "/clients/{client}/deals/{deal}/", tag = "crm",
    params(
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
        Moment,
    ),
    responses((status = 200, body = Deal), (status = "4XX", body = Problem)),
)]
async fn short_deal(
    State(deals): State<Arc<dyn Deals>>,
    Meant { caller, org }: Meant,
    Path((client, deal)): Path<(ClientId, DealId)>,
    Query(moment): Query<Moment>,
) -> Result<Response> {
    Ok(moment.show(deals.deal(&caller, org, Place { client: Some(client), deal }, moment.as_of).await?))
}

/// Change a deal of a client.
#[utoipa::path(patch, path = "/clients/{client}/deals/{deal}/", tag = "crm",
    params(
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 200, body = Deal), (status = "4XX", body = Problem)),
)]
async fn short_change_deal(
    State(deals): State<Arc<dyn Deals>>,
    Meant { caller, org }: Meant,
    Path((client, deal)): Path<(ClientId, DealId)>,
    known: IfMatch,
    Json(body): Json<DealPatch>,
) -> Result<Tagged<Deal>> {
    let found = deals.change_deal(&caller, org, Place { client: Some(client), deal }, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Put a deal of a client into the trash, or remove it for good.
#[utoipa::path(delete, path = "/clients/{client}/deals/{deal}/", tag = "crm",
    params(
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
        Removal,
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn short_delete_deal(
    State(deals): State<Arc<dyn Deals>>,
    Meant { caller, org }: Meant,
    Path((client, deal)): Path<(ClientId, DealId)>,
    Query(how): Query<Removal>,
    known: IfMatch,
) -> Result<StatusCode> {
    deals.delete_deal(&caller, org, Place { client: Some(client), deal }, how.purge, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The payments of a deal.
#[utoipa::path(get, path = "/clients/{client}/deals/{deal}/payments/", tag = "crm",
    params(
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
        PageParams,
        Filter,
    ),
    responses((status = 200, body = Page<Payment>), (status = "4XX", body = Problem)),
)]
async fn short_payments(
    State(payments): State<Arc<dyn Payments>>,
    Meant { caller, org }: Meant,
    Path((client, deal)): Path<(ClientId, DealId)>,
    Query(filter): Query<Filter>,
    page: PageQuery,
) -> Result<Json<Page<Payment>>> {
    Ok(Json(payments.payments(&caller, org, Some(Place { client: Some(client), deal }), filter, page).await?))
}

/// Record a payment of a deal.
#[utoipa::path(post, path = "/clients/{client}/deals/{deal}/payments/", tag = "crm",
    params(
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key it is done once"),
    ),
    request_body = NewPayment,
    responses((status = 201, body = Payment), (status = "4XX", body = Problem)),
)]
async fn short_record_payment(
    State(payments): State<Arc<dyn Payments>>,
    Meant { caller, org }: Meant,
    Path((client, deal)): Path<(ClientId, DealId)>,
    keyed: Keyed<NewPayment>,
) -> Result<Made<Payment>> {
    Ok(payments.record_payment(&caller, org, Place { client: Some(client), deal }, keyed.value, keyed.once).await?)
}

/// A payment of a deal.
#[utoipa::path(get, path = "/clients/{client}/deals/{deal}/payments/{payment}/", tag = "crm",
    params(
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("payment" = PaymentId, Path),
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
    ),
    responses((status = 200, body = Payment), (status = "4XX", body = Problem)),
)]
async fn short_payment(
    State(payments): State<Arc<dyn Payments>>,
    Meant { caller, org }: Meant,
    Path((client, deal, payment)): Path<(ClientId, DealId, PaymentId)>,
) -> Result<Tagged<Payment>> {
    let found = payments.payment(&caller, org, Place { client: Some(client), deal }, payment).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Take a payment back whole.
#[utoipa::path(post, path = "/clients/{client}/deals/{deal}/payments/{payment}/reverse/", tag = "crm",
    params(
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("payment" = PaymentId, Path),
        ("X-Organization" = Option<i64>, Header, description = "Which organization, for those who are in several"),
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key it is done once"),
    ),
    request_body = Option<NewReversal>,
    responses((status = 201, body = Payment), (status = "4XX", body = Problem)),
)]
async fn short_reverse_payment(
    State(payments): State<Arc<dyn Payments>>,
    Meant { caller, org }: Meant,
    Path((client, deal, payment)): Path<(ClientId, DealId, PaymentId)>,
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

/// What happened about a deal of a client, newest first.
#[utoipa::path(get, path = "/clients/{client}/deals/{deal}/activity/", tag = "crm",
    params(("client" = ClientId, Path), ("deal" = DealId, Path), SliceParams),
    responses((status = 200, body = Slice<Activity>), (status = "4XX", body = Problem)),
)]
async fn short_activities(
    State(work): State<Arc<dyn Work>>,
    Meant { caller, org }: Meant,
    Path((client, deal)): Path<(ClientId, DealId)>,
    slice: SliceQuery,
) -> Result<Json<Slice<Activity>>> {
    Ok(Json(work.activities(&caller, org, Place { client: Some(client), deal }, slice).await?))
}

/// Write down what happened about a deal of a client.
#[utoipa::path(post, path = "/clients/{client}/deals/{deal}/activity/", tag = "crm",
    params(("client" = ClientId, Path), ("deal" = DealId, Path)),
    responses((status = 201, body = Activity), (status = "4XX", body = Problem)),
)]
async fn short_log_activity(
    State(work): State<Arc<dyn Work>>,
    Meant { caller, org }: Meant,
    Path((client, deal)): Path<(ClientId, DealId)>,
    Json(body): Json<NewActivity>,
) -> Result<(StatusCode, Json<Activity>)> {
    let at = Place { client: Some(client), deal };
    Ok((StatusCode::CREATED, Json(work.log_activity(&caller, org, at, body).await?)))
}
