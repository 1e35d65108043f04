//! Deals and what is paid for them.

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
    Asked, DEEPEST_ROW, Floor, Result, Shared,
    acts::Act,
    agent,
    answers::{Person, moment},
    community::{marks, people},
    etag, now, random,
    store::{Arg, Link, Row},
};

/// The caller in the organization, with what their role grants.
const ENTER: &str = "SELECT m.*, o.*, r.* FROM deals_member m LEFT JOIN deals_organization o ON m.org_id = o.id \
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
    outcome, ip, user_agent, request_id, detail, realm, object) \
    VALUES ($1, $2, $3, NULL, '', $4, 'done', $5, $6, $7, $8, $9, $10)";
const KEY: &str = "SELECT user_id, realm, key, fingerprint, answer, created_at FROM kernel_idempotency_key \
    WHERE user_id = $1 AND realm = $2 AND key = $3 LIMIT 1";
const KEEP: &str = "INSERT INTO kernel_idempotency_key (user_id, realm, key, fingerprint, answer, created_at) \
    VALUES ($1, $2, $3, $4, $5, $6)";
const RECEIVE: &str = "UPDATE deals_deal SET received_minor = received_minor + $1, updated_at = $2 \
    WHERE org_id = $3 AND id = $4 AND deleted_at IS NULL AND received_minor + $1 <= 999999999999999999 \
    AND (value_minor >= received_minor + $1 OR $5)";
const COUNT: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM deals_deal WHERE org_id = $1 AND deleted_at IS NULL \
    AND archived_at IS NULL LIMIT $2) AS listed";

/// The columns that [`Deal::read`] expects, and those that the server reads beside.
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

/// What deals name.
#[derive(Default)]
struct Named {
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
#[expect(clippy::struct_field_names, reason = "the wire's names")]
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
    fn read(row: &Row, named: &Named) -> sqlx::Result<Self> {
        let (code, currency): (String, String) = (row.get(3)?, row.get(DEAL_CURRENCY)?);
        let (value, received, verified): (i64, i64, i64) = (row.get(14)?, row.get(DEAL_RECEIVED)?, row.get(17)?);
        let (client, stage): (i64, i64) = (row.get(DEAL_CLIENT)?, row.get(DEAL_STAGE)?);
        let when = |column: usize| -> sqlx::Result<_> { Ok(row.get::<Option<i64>>(column)?.map(moment)) };
        let person = |column: usize| -> sqlx::Result<_> { Ok(named.members.get(&row.get(column)?).cloned()) };
        Ok(Self {
            id: row.get(0)?,
            number: code.clone(),
            deal_id: code,
            title: row.get(4)?,
            description: row.get(5)?,
            client: ClientStub { id: client, name: named.clients.get(&client).cloned().unwrap_or_default() },
            client_id: client,
            contact_id: row.get(7)?,
            pipeline_id: row.get(8)?,
            stage: named.stages.get(&stage).cloned().unwrap_or_default(),
            stage_id: stage,
            stage_entered_at: moment(row.get(26)?),
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
            created_at: moment(row.get(31)?),
            updated_at: moment(row.get(DEAL_VERSION)?),
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
            decided_at: row.get::<Option<i64>>(16)?.map(moment),
            created_at: moment(row.get(20)?),
            updated_at: moment(row.get(21)?),
        })
    }
}

/// The deals in these rows.
async fn show(link: &mut Link<'_>, rows: &[Row]) -> Result<Vec<Deal>> {
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
        parts.push(format!("SELECT CAST({kind} AS bigint), id, {columns} WHERE id IN ({})", marks(first, ids.len())));
        first += ids.len();
    }
    let args: Vec<_> = groups.into_iter().flatten().map(Arg::Int).collect();
    let mut named = Named::default();
    let mut users = HashMap::new();
    for row in link.all(AssertSqlSafe(parts.join(" UNION ALL ")), &args).await? {
        let id = row.get(1)?;
        match row.get::<i64>(0)? {
            0 => drop(named.clients.insert(id, row.get(2)?)),
            1 => drop(named.stages.insert(id, row.get(2)?)),
            _ => drop(users.insert(id, row.get::<i64>(3)?)),
        }
    }
    let people = people(link, users.values().copied().collect()).await?;
    named.members = users.into_iter().filter_map(|(id, user)| Some((id, people.get(&user)?.clone()))).collect();
    Ok(rows.iter().map(|row| Deal::read(row, &named)).collect::<sqlx::Result<_>>()?)
}

impl Floor {
    /// Lets the caller into an organization.
    async fn enter(&self, link: &mut Link<'_>, org: i64, user: i64) -> Result<()> {
        link.one(ENTER, &[ACTIVE, Arg::Int(org), Arg::Int(user)]).await?;
        Ok(())
    }
}

pub(super) async fn deals(
    State(floor): Shared,
    headers: HeaderMap,
    Path(org): Path<i64>,
    Query(asked): Query<Asked>,
) -> Result<Response> {
    let caller = floor.caller(&headers).await?;
    let mut reader = floor.store.read().await?;
    let mut link = reader.link();
    floor.enter(&mut link, org, caller).await?;
    let rows = link.all(DEALS, &[Arg::Int(org), Arg::Int(asked.size()), Arg::Int(asked.offset())]).await?;
    let count = asked.count(rows.len(), &mut link, COUNT, &[Arg::Int(org), Arg::Int(DEEPEST_ROW + 1)]).await?;
    let deals = show(&mut link, &rows).await?;
    let url = floor.url.join(&format!("/api/crm/organizations/{org}/deals/"));
    Ok(Json(asked.page(&url, count, deals)).into_response())
}

pub(super) async fn deal(
    State(floor): Shared,
    headers: HeaderMap,
    Path((org, id)): Path<(i64, i64)>,
) -> Result<Response> {
    let caller = floor.caller(&headers).await?;
    let mut reader = floor.store.read().await?;
    let mut link = reader.link();
    floor.enter(&mut link, org, caller).await?;
    let row = link.one(DEAL, &[Arg::Int(org), Arg::Int(id)]).await?;
    let version = row.get(DEAL_VERSION)?;
    let deal = show(&mut link, &[row]).await?.pop().context("one row is one deal")?;
    Ok(([etag(version)], Json(deal)).into_response())
}

/// What is known of a request that changes something.
pub(super) struct Asker {
    org: i64,
    user: i64,
    ip: String,
    agent: Option<String>,
    request: String,
    now: i64,
}

impl Asker {
    fn new(org: i64, user: i64, peer: SocketAddr, headers: &HeaderMap) -> Self {
        Self { org, user, ip: peer.ip().to_string(), agent: agent(headers), request: random(), now: now() }
    }

    /// Lets whoever asks in, and keeps them in until the end.
    async fn enter(&self, link: &mut Link<'_>) -> sqlx::Result<i64> {
        let args = [ACTIVE, Arg::Int(self.org), Arg::Int(self.user)];
        if link.is_postgres() {
            link.all(LOCK_MEMBER, &args).await?;
        }
        link.one(ENTER, &args).await?.get(0)
    }

    async fn note(&self, link: &mut Link<'_>, action: &str, detail: &str, object: &str) -> sqlx::Result<()> {
        let (label, realm) = (format!("#{}", self.user), format!("deals/{}", self.org));
        let object = format!("{realm}/{object}");
        let args = [
            Arg::Int(self.now),
            Arg::Int(self.user),
            Arg::Text(&label),
            Arg::Text(action),
            Arg::Text(&self.ip),
            Arg::Maybe(self.agent.as_deref()),
            Arg::Text(&self.request),
            Arg::Text(detail),
            Arg::Text(&realm),
            Arg::Text(&object),
        ];
        link.run(AUDIT, &args).await?;
        Ok(())
    }
}

#[derive(Deserialize)]
pub(super) struct WantedDeal {
    client_id: i64,
    title: String,
    value: String,
    currency: String,
}

/// A deal that is to be added.
pub(super) struct NewDeal {
    asker: Asker,
    wanted: WantedDeal,
}

pub(super) async fn create_deal(
    State(floor): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(org): Path<i64>,
    Json(wanted): Json<WantedDeal>,
) -> Result<Response> {
    let user = floor.caller(&headers).await?;
    let people = people(&mut floor.store.read().await?.link(), HashSet::from([user])).await?;
    let new = NewDeal { asker: Asker::new(org, user, peer, &headers), wanted };
    let rows = floor.store.write(Act::CreateDeal(new)).await?;
    let [deal, client, stage] = rows.as_slice() else { return Err(anyhow::anyhow!("a deal is three rows").into()) };
    let person = people.get(&user).cloned().context("whoever asks is somebody")?;
    let named = Named {
        clients: HashMap::from([(client.get(0)?, client.get(2)?)]),
        stages: HashMap::from([(stage.get(0)?, stage.get(1)?)]),
        members: HashMap::from([(deal.get(DEAL_OWNER)?, person)]),
    };
    let version = etag(deal.get(DEAL_VERSION)?);
    Ok((StatusCode::CREATED, [version], Json(Deal::read(deal, &named)?)).into_response())
}

pub(super) async fn store_deal(link: &mut Link<'_>, new: &NewDeal) -> sqlx::Result<Vec<Row>> {
    let (asker, wanted) = (&new.asker, &new.wanted);
    let (org, now) = (Arg::Int(asker.org), Arg::Int(asker.now));
    let member = asker.enter(link).await?;
    if link.is_postgres() {
        link.all(LOCK_CLIENT, &[Arg::Int(wanted.client_id)]).await?;
    }
    let client = link.one(CLIENT, &[org, Arg::Int(wanted.client_id)]).await?;
    let stage = link.one(FIRST_STAGE, &[org]).await?;
    link.all(FIELDS, &[org, Arg::Text("deal")]).await?;
    let number: i64 = link.one(NUMBER, &[org, Arg::Text("deal")]).await?.get(0)?;
    let code = format!("DLID{number:04}");
    let position = format!("{}{number:06}", asker.now);
    let words = format!("{} {}\n{}", wanted.title.to_lowercase(), code.to_lowercase(), client.get::<String>(3)?);
    let value = wanted.value.replace('.', "").parse().unwrap_or_default();
    let args = [
        org,
        Arg::Int(number),
        Arg::Text(&code),
        Arg::Text(&wanted.title),
        Arg::Int(wanted.client_id),
        Arg::Int(stage.get(2)?),
        Arg::Int(stage.get(0)?),
        Arg::Text(&position),
        Arg::Int(member),
        Arg::Int(value),
        Arg::Text(&wanted.currency),
        Arg::Int(stage.get(4)?),
        now,
        Arg::Text(&words),
    ];
    let deal = link.one(NEW_DEAL, &args).await?;
    let (id, name): (i64, String) = (deal.get(0)?, stage.get(1)?);
    let change = [org, Arg::Int(id), Arg::Int(stage.get(0)?), Arg::Text(&name), Arg::Int(member), now];
    link.run(STAGE_CHANGE, &change).await?;
    asker.note(link, "deals.create_deal", r#"{"created":true}"#, &format!("deal/{id}")).await?;
    Ok(vec![deal, client, stage])
}

/// A payment as it is asked for.
#[derive(Deserialize)]
struct WantedPayment {
    amount: String,
    method: String,
}

/// A payment that is to be recorded once.
pub(super) struct NewPayment {
    asker: Asker,
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
    let wanted: WantedPayment = serde_json::from_str(&body)?;
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let people = people(&mut floor.store.read().await?.link(), HashSet::from([user])).await?;
    let recorded_by = people.get(&user).cloned();
    let new = NewPayment {
        asker: Asker::new(org, user, peer, &headers),
        deal,
        amount: wanted.amount.parse()?,
        method: wanted.method,
        key,
        fingerprint: Sha256::digest(body).to_vec(),
        recorded_by: recorded_by.clone(),
    };
    let rows = floor.store.write(Act::Pay(new)).await?;
    let payment = Payment::read(rows.first().context("a payment is one row")?, recorded_by)?;
    let version = [(header::ETAG, format!("\"{:x}\"", payment.updated_at.unix_micros()))];
    Ok((StatusCode::CREATED, version, Json(payment)).into_response())
}

pub(super) async fn store_payment(link: &mut Link<'_>, new: &NewPayment) -> sqlx::Result<Vec<Row>> {
    let asker = &new.asker;
    let (org, id, now) = (Arg::Int(asker.org), Arg::Int(new.deal), Arg::Int(asker.now));
    let realm = format!("deals/{}", asker.org);
    let (user, realm, key) = (Arg::Int(asker.user), Arg::Text(&realm), Arg::Text(&new.key));
    if link.is_postgres() {
        link.all(LOCK_DEAL, &[id]).await?;
    }
    let member = asker.enter(link).await?;
    if link.is_postgres() {
        link.one(LOCK_KEY, &[key]).await?;
    }
    link.all(KEY, &[user, realm, key]).await?;
    let deal = link.one(DEAL, &[org, id]).await?;
    let currency: String = deal.get(DEAL_CURRENCY)?;
    let minor = if currency == "JPY" { new.amount } else { new.amount * 100 };
    let amount = Arg::Int(minor);
    if link.run(RECEIVE, &[amount, now, org, id, Arg::Flag(false)]).await? != 1 {
        return Err(sqlx::Error::RowNotFound);
    }
    let received: i64 = deal.get(DEAL_RECEIVED)?;
    let changes = json!({"changes": {"received_minor": [received, received + minor]}, "currency": currency});
    asker.note(link, "deals.count_payment", &changes.to_string(), &format!("deal/{}", new.deal)).await?;
    let number: i64 = link.one(NUMBER, &[org, Arg::Text("payment")]).await?.get(0)?;
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
    let row = link.one(NEW_PAYMENT, &args).await?;
    let object = format!("payment/{}", row.get::<i64>(0)?);
    asker.note(link, "deals.record_payment", r#"{"created":true}"#, &object).await?;
    let answer = Payment::read(&row, new.recorded_by.clone())?;
    let answer = serde_json::to_string(&answer).unwrap_or_default();
    link.run(KEEP, &[user, realm, key, Arg::Bytes(&new.fingerprint), Arg::Text(&answer), now]).await?;
    Ok(vec![row])
}
