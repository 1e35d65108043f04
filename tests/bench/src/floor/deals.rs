//! Deals and payments.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
};

use anyhow::Context;
use axum::{
    Json,
    extract::{ConnectInfo, Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;

use super::{
    Floor, MAX_COUNT, PageParams, Result, Shared, agent,
    community::{people, placeholders},
    etag, now, random,
    responses::{Person, timestamp},
    store::{Arg, Conn, Row},
    writes::Write,
};

/// The caller's membership, with organization and role.
const MEMBERSHIP: &str = "SELECT m.*, o.*, r.* FROM deals_member m LEFT JOIN deals_organization o ON m.org_id = o.id \
    LEFT JOIN deals_role r ON m.role_id = r.id WHERE m.status = $1 AND m.org_id = $2 AND m.user_id = $3 LIMIT 1";
const LOCK_MEMBER: &str = "SELECT 1 FROM deals_member WHERE status = $1 AND org_id = $2 AND user_id = $3 FOR KEY SHARE";
const LOCK_CLIENT: &str = "SELECT 1 FROM deals_client WHERE id = $1 FOR NO KEY UPDATE";
const LOCK_DEAL: &str = "SELECT 1 FROM deals_deal WHERE id = $1 FOR NO KEY UPDATE";
const LOCK_KEY: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 4711042))";
const CLIENT: &str = "SELECT * FROM deals_client WHERE org_id = $1 AND deleted_at IS NULL AND id = $2 LIMIT 1";
const FIRST_STAGE: &str = "SELECT id, name, pipeline_id, kind, probability, required_fields FROM deals_stage \
    WHERE org_id = $1 AND pipeline_id IN (SELECT id FROM deals_pipeline WHERE org_id = $1 AND is_default) \
    ORDER BY position, id LIMIT 1";
const FIELDS: &str = "SELECT * FROM deals_custom_field WHERE org_id = $1 AND entity = $2 ORDER BY id LIMIT 50";
const NUMBER: &str = "UPDATE deals_counter SET next = next + 1 WHERE org_id = $1 AND kind = $2 RETURNING next - 1";
const STAGE_CHANGE: &str = "INSERT INTO deals_stage_change \
    (org_id, deal_id, from_stage_id, to_stage_id, from_name, to_name, moved_by, moved_at) \
    VALUES ($1, $2, NULL, $3, '', $4, $5, $6)";
const AUDIT: &str = "INSERT INTO kernel_audit_event (at, actor_id, actor_label, subject_id, subject_label, action, \
    outcome, ip, user_agent, request_id, detail, scope, object) \
    VALUES ($1, $2, $3, NULL, '', $4, 'done', $5, $6, $7, $8, $9, $10)";
const KEY: &str = "SELECT user_id, scope, key, fingerprint, answer, created_at FROM kernel_idempotency_key \
    WHERE user_id = $1 AND scope = $2 AND key = $3 LIMIT 1";
const STORE_KEY: &str = "INSERT INTO kernel_idempotency_key (user_id, scope, key, fingerprint, answer, created_at) \
    VALUES ($1, $2, $3, $4, $5, $6)";
const RECEIVE: &str = "UPDATE deals_deal SET received_minor = received_minor + $1, updated_at = $2 \
    WHERE org_id = $3 AND id = $4 AND deleted_at IS NULL AND received_minor + $1 <= 999999999999999999 \
    AND (value_minor >= received_minor + $1 OR $5)";
const COUNT: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM deals_deal WHERE org_id = $1 AND deleted_at IS NULL \
    AND archived_at IS NULL LIMIT $2) AS listed";

/// All columns that the server reads, in the order that [`Deal::read`] expects.
macro_rules! deal {
    () => {
        "id, org_id, number, code, title, description, client_id, contact_id, pipeline_id, stage_id, status, \
         position, owner_id, created_by, value_minor, currency, received_minor, verified_minor, probability, source, \
         expected_close_date, close_key, closed_at, lost_reason, verification, verification_note, stage_entered_at, \
         search_text, archived_at, deleted_at, deletion_id, created_at, updated_at, import_id, custom"
    };
}

macro_rules! payment {
    () => {
        "id, org_id, number, code, deal_id, kind, of_id, amount_minor, currency, method, cheque_number, reference, \
         received_on, recorded_by, state, decided_by, decided_at, reason, refunded_minor, is_reversed, created_at, \
         updated_at"
    };
}

const DEAL: &str =
    concat!("SELECT ", deal!(), " FROM deals_deal WHERE org_id = $1 AND deleted_at IS NULL AND id = $2 LIMIT 1");
const DEALS: &str = concat!(
    "SELECT ",
    deal!(),
    " FROM deals_deal WHERE org_id = $1 AND deleted_at IS NULL AND archived_at IS NULL \
     ORDER BY number DESC, id DESC LIMIT $2 OFFSET $3"
);
const NEW_DEAL: &str = concat!(
    "INSERT INTO deals_deal (org_id, number, code, title, description, client_id, contact_id, pipeline_id, stage_id, \
     status, position, owner_id, created_by, value_minor, currency, received_minor, verified_minor, probability, \
     source, expected_close_date, close_key, closed_at, lost_reason, verification, verification_note, \
     stage_entered_at, search_text, archived_at, deleted_at, deletion_id, created_at, updated_at, import_id, custom) \
     VALUES ($1, $2, $3, $4, '', $5, NULL, $6, $7, 'open', $8, $9, $9, $10, $11, 0, 0, $12, '', NULL, '~', NULL, '', \
     'pending', '', $13, $14, NULL, NULL, NULL, $13, $13, NULL, '') RETURNING ",
    deal!()
);
const NEW_PAYMENT: &str = concat!(
    "INSERT INTO deals_payment (org_id, number, code, deal_id, kind, of_id, amount_minor, currency, method, \
     cheque_number, reference, received_on, recorded_by, state, decided_by, decided_at, reason, refunded_minor, \
     is_reversed, created_at, updated_at) VALUES ($1, $2, $3, $4, 'payment', NULL, $5, $6, $7, NULL, '', $8, $9, \
     'pending', NULL, NULL, '', 0, false, $10, $10) RETURNING ",
    payment!()
);

const ACTIVE: Arg<'static> = Arg::Text("active");

fn money(minor: i64, currency: &str) -> String {
    if currency == "JPY" { minor.to_string() } else { format!("{}.{:02}", minor / 100, minor % 100) }
}

/// Names and users that deals refer to, by id.
#[derive(Default)]
struct References {
    clients: HashMap<i64, String>,
    stages: HashMap<i64, String>,
    members: HashMap<i64, Person>,
}

#[derive(Serialize)]
struct ClientStub {
    id: i64,
    name: String,
}

/// A deal as the caller sees it.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of JSON fields")]
struct Deal {
    id: i64,
    number: String,
    deal_id: String,
    title: String,
    description: String,
    client: ClientStub,
    client_id: i64,
    contact_id: Option<i64>,
    pipeline_id: i64,
    stage: String,
    stage_id: i64,
    stage_entered_at: guildhall_kernel::Timestamp,
    status: String,
    value: String,
    currency: String,
    paid_total: String,
    verified_total: String,
    balance: String,
    payment_status: &'static str,
    probability: i64,
    source: String,
    expected_close_date: Option<String>,
    closed_at: Option<guildhall_kernel::Timestamp>,
    lost_reason: String,
    verification_status: String,
    verification_note: String,
    owner: Option<Person>,
    created_by: Option<Person>,
    custom: HashMap<String, String>,
    archived_at: Option<guildhall_kernel::Timestamp>,
    created_at: guildhall_kernel::Timestamp,
    updated_at: guildhall_kernel::Timestamp,
}

const DEAL_CLIENT: usize = 6;
const DEAL_STAGE: usize = 9;
const DEAL_OWNER: usize = 12;
const DEAL_CREATOR: usize = 13;
const DEAL_CURRENCY: usize = 15;
const DEAL_RECEIVED: usize = 16;
const DEAL_VERSION: usize = 32;

impl Deal {
    fn read(row: &Row, references: &References) -> sqlx::Result<Self> {
        let (code, currency): (String, String) = (row.get(3)?, row.get(DEAL_CURRENCY)?);
        let (value, received, verified): (i64, i64, i64) = (row.get(14)?, row.get(DEAL_RECEIVED)?, row.get(17)?);
        let (client, stage): (i64, i64) = (row.get(DEAL_CLIENT)?, row.get(DEAL_STAGE)?);
        let when = |column: usize| -> sqlx::Result<_> { Ok(row.get::<Option<i64>>(column)?.map(timestamp)) };
        let person = |column: usize| -> sqlx::Result<_> { Ok(references.members.get(&row.get(column)?).cloned()) };
        Ok(Self {
            id: row.get(0)?,
            number: code.clone(),
            deal_id: code,
            title: row.get(4)?,
            description: row.get(5)?,
            client: ClientStub { id: client, name: references.clients.get(&client).cloned().unwrap_or_default() },
            client_id: client,
            contact_id: row.get(7)?,
            pipeline_id: row.get(8)?,
            stage: references.stages.get(&stage).cloned().unwrap_or_default(),
            stage_id: stage,
            stage_entered_at: timestamp(row.get(26)?),
            status: row.get(10)?,
            value: money(value, &currency),
            paid_total: money(received, &currency),
            verified_total: money(verified, &currency),
            balance: money(value - received, &currency),
            payment_status: match verified {
                0 => "unpaid",
                paid if paid < value => "partial",
                _ => "full",
            },
            currency,
            probability: row.get(18)?,
            source: row.get(19)?,
            expected_close_date: row.get(20)?,
            closed_at: when(22)?,
            lost_reason: row.get(23)?,
            verification_status: row.get(24)?,
            verification_note: row.get(25)?,
            owner: person(DEAL_OWNER)?,
            created_by: person(DEAL_CREATOR)?,
            custom: HashMap::new(),
            archived_at: when(28)?,
            created_at: timestamp(row.get(31)?),
            updated_at: timestamp(row.get(DEAL_VERSION)?),
        })
    }
}

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
    decided_at: Option<guildhall_kernel::Timestamp>,
    created_at: guildhall_kernel::Timestamp,
    updated_at: guildhall_kernel::Timestamp,
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

/// Converts rows to deals.
async fn load_deals(conn: &mut Conn<'_>, rows: &[Row]) -> Result<Vec<Deal>> {
    let ids = |columns: &[usize]| -> sqlx::Result<HashSet<i64>> {
        rows.iter().flat_map(|row| columns.iter().map(|column| row.get(*column))).collect()
    };
    let groups = [ids(&[DEAL_CLIENT])?, ids(&[DEAL_STAGE])?, ids(&[DEAL_OWNER, DEAL_CREATOR])?];
    let mut parts = Vec::new();
    let mut first = 1;
    for (kind, (columns, ids)) in [
        ("name, CAST(NULL AS bigint) FROM deals_client"),
        ("name, CAST(NULL AS bigint) FROM deals_stage"),
        ("'', user_id FROM deals_member"),
    ]
    .into_iter()
    .zip(&groups)
    .enumerate()
    {
        parts.push(format!(
            "SELECT CAST({kind} AS bigint), id, {columns} WHERE id IN ({})",
            placeholders(first, ids.len())
        ));
        first += ids.len();
    }
    let args: Vec<_> = groups.into_iter().flatten().map(Arg::Int).collect();
    let mut references = References::default();
    let mut users = HashMap::new();
    for row in conn.all(AssertSqlSafe(parts.join(" UNION ALL ")), &args).await? {
        let id = row.get(1)?;
        match row.get::<i64>(0)? {
            0 => drop(references.clients.insert(id, row.get(2)?)),
            1 => drop(references.stages.insert(id, row.get(2)?)),
            _ => drop(users.insert(id, row.get::<i64>(3)?)),
        }
    }
    let people = people(conn, users.values().copied().collect()).await?;
    references.members = users.into_iter().filter_map(|(id, user)| Some((id, people.get(&user)?.clone()))).collect();
    Ok(rows.iter().map(|row| Deal::read(row, &references)).collect::<sqlx::Result<_>>()?)
}

impl Floor {
    /// Fails unless the caller is a member of the organization.
    async fn require_member(&self, conn: &mut Conn<'_>, org: i64, user: i64) -> Result<()> {
        conn.one(MEMBERSHIP, &[ACTIVE, Arg::Int(org), Arg::Int(user)]).await?;
        Ok(())
    }
}

pub(super) async fn deals(
    State(floor): Shared,
    headers: HeaderMap,
    Path(org): Path<i64>,
    Query(params): Query<PageParams>,
) -> Result<Response> {
    let caller = floor.caller(&headers).await?;
    let mut reader = floor.store.read().await?;
    let mut conn = reader.conn();
    floor.require_member(&mut conn, org, caller).await?;
    let rows = conn.all(DEALS, &[Arg::Int(org), Arg::Int(params.size()), Arg::Int(params.offset())]).await?;
    let count = params.count(rows.len(), &mut conn, COUNT, &[Arg::Int(org), Arg::Int(MAX_COUNT + 1)]).await?;
    let deals = load_deals(&mut conn, &rows).await?;
    let url = floor.url.join(&format!("/api/crm/organizations/{org}/deals/"));
    Ok(Json(params.page(&url, count, deals)).into_response())
}

pub(super) async fn deal(
    State(floor): Shared,
    headers: HeaderMap,
    Path((org, id)): Path<(i64, i64)>,
) -> Result<Response> {
    let caller = floor.caller(&headers).await?;
    let mut reader = floor.store.read().await?;
    let mut conn = reader.conn();
    floor.require_member(&mut conn, org, caller).await?;
    let row = conn.one(DEAL, &[Arg::Int(org), Arg::Int(id)]).await?;
    let version = row.get(DEAL_VERSION)?;
    let deal = load_deals(&mut conn, &[row]).await?.pop().context("one row must yield one deal")?;
    Ok(([etag(version)], Json(deal)).into_response())
}

/// The context of a write request.
pub(super) struct RequestContext {
    org: i64,
    user: i64,
    ip: String,
    agent: Option<String>,
    request: String,
    now: i64,
}

impl RequestContext {
    fn new(org: i64, user: i64, peer: SocketAddr, headers: &HeaderMap) -> Self {
        Self { org, user, ip: peer.ip().to_string(), agent: agent(headers), request: random(), now: now() }
    }

    /// Fails unless the caller is a member, and locks the membership. Returns its id.
    async fn require_member(&self, conn: &mut Conn<'_>) -> sqlx::Result<i64> {
        let args = [ACTIVE, Arg::Int(self.org), Arg::Int(self.user)];
        if conn.is_postgres() {
            conn.all(LOCK_MEMBER, &args).await?;
        }
        conn.one(MEMBERSHIP, &args).await?.get(0)
    }

    async fn audit(&self, conn: &mut Conn<'_>, action: &str, detail: &str, object: &str) -> sqlx::Result<()> {
        let (label, scope) = (format!("#{}", self.user), format!("deals/{}", self.org));
        let object = format!("{scope}/{object}");
        let args = [
            Arg::Int(self.now),
            Arg::Int(self.user),
            Arg::Text(&label),
            Arg::Text(action),
            Arg::Text(&self.ip),
            Arg::OptionalText(self.agent.as_deref()),
            Arg::Text(&self.request),
            Arg::Text(detail),
            Arg::Text(&scope),
            Arg::Text(&object),
        ];
        conn.run(AUDIT, &args).await?;
        Ok(())
    }
}

#[derive(Deserialize)]
pub(super) struct DealInput {
    client_id: i64,
    title: String,
    value: String,
    currency: String,
}

/// The data to create a deal.
pub(super) struct NewDeal {
    context: RequestContext,
    input: DealInput,
}

pub(super) async fn create_deal(
    State(floor): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(org): Path<i64>,
    Json(input): Json<DealInput>,
) -> Result<Response> {
    let user = floor.caller(&headers).await?;
    let people = people(&mut floor.store.read().await?.conn(), HashSet::from([user])).await?;
    let new = NewDeal { context: RequestContext::new(org, user, peer, &headers), input };
    let rows = floor.store.write(Write::CreateDeal(new)).await?;
    let [deal, client, stage] = rows.as_slice() else {
        return Err(anyhow::anyhow!("a new deal must return three rows").into());
    };
    let person = people.get(&user).cloned().context("the caller must exist")?;
    let references = References {
        clients: HashMap::from([(client.get(0)?, client.get(2)?)]),
        stages: HashMap::from([(stage.get(0)?, stage.get(1)?)]),
        members: HashMap::from([(deal.get(DEAL_OWNER)?, person)]),
    };
    let version = etag(deal.get(DEAL_VERSION)?);
    Ok((StatusCode::CREATED, [version], Json(Deal::read(deal, &references)?)).into_response())
}

pub(super) async fn store_deal(conn: &mut Conn<'_>, new: &NewDeal) -> sqlx::Result<Vec<Row>> {
    let (context, input) = (&new.context, &new.input);
    let (org, now) = (Arg::Int(context.org), Arg::Int(context.now));
    let member = context.require_member(conn).await?;
    if conn.is_postgres() {
        conn.all(LOCK_CLIENT, &[Arg::Int(input.client_id)]).await?;
    }
    let client = conn.one(CLIENT, &[org, Arg::Int(input.client_id)]).await?;
    let stage = conn.one(FIRST_STAGE, &[org]).await?;
    conn.all(FIELDS, &[org, Arg::Text("deal")]).await?;
    let number: i64 = conn.one(NUMBER, &[org, Arg::Text("deal")]).await?.get(0)?;
    let code = format!("DLID{number:04}");
    let position = format!("{}{number:06}", context.now);
    let search_text = format!("{} {}\n{}", input.title.to_lowercase(), code.to_lowercase(), client.get::<String>(3)?);
    let value = input.value.replace('.', "").parse().unwrap_or_default();
    let args = [
        org,
        Arg::Int(number),
        Arg::Text(&code),
        Arg::Text(&input.title),
        Arg::Int(input.client_id),
        Arg::Int(stage.get(2)?),
        Arg::Int(stage.get(0)?),
        Arg::Text(&position),
        Arg::Int(member),
        Arg::Int(value),
        Arg::Text(&input.currency),
        Arg::Int(stage.get(4)?),
        now,
        Arg::Text(&search_text),
    ];
    let deal = conn.one(NEW_DEAL, &args).await?;
    let (id, name): (i64, String) = (deal.get(0)?, stage.get(1)?);
    let change = [org, Arg::Int(id), Arg::Int(stage.get(0)?), Arg::Text(&name), Arg::Int(member), now];
    conn.run(STAGE_CHANGE, &change).await?;
    context.audit(conn, "deals.create_deal", r#"{"created":true}"#, &format!("deal/{id}")).await?;
    Ok(vec![deal, client, stage])
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
