//! A deal as the caller sees it, and the queries that read one.

use std::collections::{HashMap, HashSet};

use guildhall_kernel::Timestamp;
use serde::Serialize;
use sqlx::AssertSqlSafe;

use crate::floor::{
    Result,
    community::{people, placeholders},
    responses::{Person, timestamp},
    store::{Arg, Conn, Row},
};

/// All columns that the server reads, in the order that [`Deal::read`] expects.
macro_rules! deal {
    () => {
        "id, org_id, number, code, title, description, client_id, contact_id, pipeline_id, stage_id, status, \
         position, owner_id, created_by, value_minor, currency, received_minor, verified_minor, probability, source, \
         expected_close_date, close_key, closed_at, lost_reason, verification, verification_note, stage_entered_at, \
         search_text, archived_at, deleted_at, deletion_id, created_at, updated_at, import_id, custom"
    };
}

pub(in crate::floor) const DEAL: &str =
    concat!("SELECT ", deal!(), " FROM deals_deal WHERE org_id = $1 AND deleted_at IS NULL AND id = $2 LIMIT 1");
pub(super) const DEALS: &str = concat!(
    "SELECT ",
    deal!(),
    " FROM deals_deal WHERE org_id = $1 AND deleted_at IS NULL AND archived_at IS NULL \
     ORDER BY number DESC, id DESC LIMIT $2 OFFSET $3"
);
pub(super) const NEW_DEAL: &str = concat!(
    "INSERT INTO deals_deal (org_id, number, code, title, description, client_id, contact_id, pipeline_id, stage_id, \
     status, position, owner_id, created_by, value_minor, currency, received_minor, verified_minor, probability, \
     source, expected_close_date, close_key, closed_at, lost_reason, verification, verification_note, \
     stage_entered_at, search_text, archived_at, deleted_at, deletion_id, created_at, updated_at, import_id, custom) \
     VALUES ($1, $2, $3, $4, '', $5, NULL, $6, $7, 'open', $8, $9, $9, $10, $11, 0, 0, $12, '', NULL, '~', NULL, '', \
     'pending', '', $13, $14, NULL, NULL, NULL, $13, $13, NULL, '') RETURNING ",
    deal!()
);

/// An amount in minor units as a decimal string.
pub(in crate::floor) fn money(minor: i64, currency: &str) -> String {
    if currency == "JPY" { minor.to_string() } else { format!("{}.{:02}", minor / 100, minor % 100) }
}

/// Names and users that deals refer to, by id.
#[derive(Default)]
pub(super) struct References {
    pub(super) clients: HashMap<i64, String>,
    pub(super) stages: HashMap<i64, String>,
    pub(super) members: HashMap<i64, Person>,
}

#[derive(Serialize)]
struct ClientStub {
    id: i64,
    name: String,
}

/// A deal as the caller sees it.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of JSON fields")]
pub(super) struct Deal {
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
    stage_entered_at: Timestamp,
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
    closed_at: Option<Timestamp>,
    lost_reason: String,
    verification_status: String,
    verification_note: String,
    owner: Option<Person>,
    created_by: Option<Person>,
    custom: HashMap<String, String>,
    archived_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

const DEAL_CLIENT: usize = 6;
const DEAL_STAGE: usize = 9;
pub(super) const DEAL_OWNER: usize = 12;
const DEAL_CREATOR: usize = 13;
pub(in crate::floor) const DEAL_CURRENCY: usize = 15;
pub(in crate::floor) const DEAL_RECEIVED: usize = 16;
pub(super) const DEAL_VERSION: usize = 32;

impl Deal {
    pub(super) fn read(row: &Row, references: &References) -> sqlx::Result<Self> {
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

/// Converts rows to deals.
pub(super) async fn load_deals(conn: &mut Conn<'_>, rows: &[Row]) -> Result<Vec<Deal>> {
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
