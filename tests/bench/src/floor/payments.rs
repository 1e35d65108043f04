//! Payments.

use std::{collections::HashSet, net::SocketAddr};

use anyhow::Context;
use axum::{
    Json,
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use guildhall_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    Result, Shared,
    community::people,
    deals::response::{DEAL, DEAL_CURRENCY, DEAL_RECEIVED, money},
    organization::{NUMBER, RequestContext},
    responses::{Person, timestamp},
    store::{Arg, Conn, Row},
    writes::Write,
};

const LOCK_DEAL: &str = "SELECT 1 FROM deals_deal WHERE id = $1 FOR NO KEY UPDATE";
const LOCK_KEY: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 4711042))";
const KEY: &str = "SELECT user_id, scope, key, fingerprint, answer, created_at FROM kernel_idempotency_key \
    WHERE user_id = $1 AND scope = $2 AND key = $3 LIMIT 1";
const STORE_KEY: &str = "INSERT INTO kernel_idempotency_key (user_id, scope, key, fingerprint, answer, created_at) \
    VALUES ($1, $2, $3, $4, $5, $6)";
const RECEIVE: &str = "UPDATE deals_deal SET received_minor = received_minor + $1, updated_at = $2 \
    WHERE org_id = $3 AND id = $4 AND deleted_at IS NULL AND received_minor + $1 <= 999999999999999999 \
    AND (value_minor >= received_minor + $1 OR $5)";

macro_rules! payment {
    () => {
        "id, org_id, number, code, deal_id, kind, of_id, amount_minor, currency, method, cheque_number, reference, \
         received_on, recorded_by, state, decided_by, decided_at, reason, refunded_minor, is_reversed, created_at, \
         updated_at"
    };
}

const NEW_PAYMENT: &str = concat!(
    "INSERT INTO deals_payment (org_id, number, code, deal_id, kind, of_id, amount_minor, currency, method, \
     cheque_number, reference, received_on, recorded_by, state, decided_by, decided_at, reason, refunded_minor, \
     is_reversed, created_at, updated_at) VALUES ($1, $2, $3, $4, 'payment', NULL, $5, $6, $7, NULL, '', $8, $9, \
     'pending', NULL, NULL, '', 0, false, $10, $10) RETURNING ",
    payment!()
);

/// A payment as the caller sees it.
#[derive(Serialize)]
struct Payment {
    id: i64,
    transaction_id: String,
    deal_id: i64,
    kind: String,
    of_payment_id: Option<i64>,
    amount: String,
    currency: String,
    method: String,
    cheque_number: Option<String>,
    reference: String,
    received_on: String,
    state: String,
    reason: String,
    refunded: String,
    is_reversed: bool,
    recorded_by: Option<Person>,
    decided_by: Option<Person>,
    decided_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Payment {
    fn read(row: &Row, recorded_by: Option<Person>) -> sqlx::Result<Self> {
        let currency: String = row.get(8)?;
        Ok(Self {
            id: row.get(0)?,
            transaction_id: row.get(3)?,
            deal_id: row.get(4)?,
            kind: row.get(5)?,
            of_payment_id: row.get(6)?,
            amount: money(row.get(7)?, &currency),
            refunded: money(row.get(18)?, &currency),
            currency,
            method: row.get(9)?,
            cheque_number: row.get(10)?,
            reference: row.get(11)?,
            received_on: row.get(12)?,
            state: row.get(14)?,
            reason: row.get(17)?,
            is_reversed: row.get(19)?,
            recorded_by,
            decided_by: None,
            decided_at: row.get::<Option<i64>>(16)?.map(timestamp),
            created_at: timestamp(row.get(20)?),
            updated_at: timestamp(row.get(21)?),
        })
    }
}

/// The input of a payment.
#[derive(Deserialize)]
struct PaymentInput {
    amount: String,
    method: String,
}

/// The data to record a payment, with its idempotency key.
pub(super) struct NewPayment {
    context: RequestContext,
    deal: i64,
    amount: i64,
    method: String,
    key: String,
    fingerprint: Vec<u8>,
    recorded_by: Option<Person>,
}

pub(super) async fn pay(
    State(floor): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path((org, deal)): Path<(i64, i64)>,
    body: String,
) -> Result<Response> {
    let user = floor.caller(&headers).await?;
    let input: PaymentInput = serde_json::from_str(&body)?;
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let people = people(&mut floor.store.read().await?.conn(), HashSet::from([user])).await?;
    let recorded_by = people.get(&user).cloned();
    let new = NewPayment {
        context: RequestContext::new(org, user, peer, &headers),
        deal,
        amount: input.amount.parse()?,
        method: input.method,
        key,
        fingerprint: Sha256::digest(body).to_vec(),
        recorded_by: recorded_by.clone(),
    };
    let rows = floor.store.write(Write::Pay(new)).await?;
    let payment = Payment::read(rows.first().context("a new payment must return one row")?, recorded_by)?;
    let version = [(header::ETAG, format!("\"{:x}\"", payment.updated_at.unix_micros()))];
    Ok((StatusCode::CREATED, version, Json(payment)).into_response())
}

pub(super) async fn store_payment(conn: &mut Conn<'_>, new: &NewPayment) -> sqlx::Result<Vec<Row>> {
    let context = &new.context;
    let (org, id, now) = (Arg::Int(context.org), Arg::Int(new.deal), Arg::Int(context.now));
    let scope = format!("deals/{}", context.org);
    let (user, scope, key) = (Arg::Int(context.user), Arg::Text(&scope), Arg::Text(&new.key));
    if conn.is_postgres() {
        conn.all(LOCK_DEAL, &[id]).await?;
    }
    let member = context.require_member(conn).await?;
    if conn.is_postgres() {
        conn.one(LOCK_KEY, &[key]).await?;
    }
    conn.all(KEY, &[user, scope, key]).await?;
    let deal = conn.one(DEAL, &[org, id]).await?;
    let currency: String = deal.get(DEAL_CURRENCY)?;
    let minor = if currency == "JPY" { new.amount } else { new.amount * 100 };
    let amount = Arg::Int(minor);
    if conn.run(RECEIVE, &[amount, now, org, id, Arg::Flag(false)]).await? != 1 {
        return Err(sqlx::Error::RowNotFound);
    }
    let received: i64 = deal.get(DEAL_RECEIVED)?;
    let changes = json!({"changes": {"received_minor": [received, received + minor]}, "currency": currency});
    context.audit(conn, "deals.count_payment", &changes.to_string(), &format!("deal/{}", new.deal)).await?;
    let number: i64 = conn.one(NUMBER, &[org, Arg::Text("payment")]).await?.get(0)?;
    let code = format!("TXN-{number:04}");
    let args = [
        org,
        Arg::Int(number),
        Arg::Text(&code),
        id,
        amount,
        Arg::Text(&currency),
        Arg::Text(&new.method),
        Arg::Text("2026-01-31"),
        Arg::Int(member),
        now,
    ];
    let row = conn.one(NEW_PAYMENT, &args).await?;
    let object = format!("payment/{}", row.get::<i64>(0)?);
    context.audit(conn, "deals.record_payment", r#"{"created":true}"#, &object).await?;
    let response = Payment::read(&row, new.recorded_by.clone())?;
    let response = serde_json::to_string(&response).unwrap_or_default();
    conn.run(STORE_KEY, &[user, scope, key, Arg::Bytes(&new.fingerprint), Arg::Text(&response), now]).await?;
    Ok(vec![row])
}
