//! Deals as the API shows them.

use std::collections::{HashMap, HashSet};

use guildhall_kernel::{
    UserId,
    db::{self, QueryTemplate},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, FromQueryResult,
    sea_query::{Expr, Query, UnionType},
};

use crate::{
    ClientId, ClientStub, CustomFieldTarget, Deal, Error, MemberId, PaymentStatus, Result, StageId,
    core::{Core, People},
    custom::sql as custom,
    entity::{client, custom_field, deal, member, stage},
};

/// The names of clients, stages and people that deals refer to.
#[derive(Default)]
pub(super) struct Names {
    pub(super) clients: HashMap<ClientId, String>,
    pub(super) stages: HashMap<StageId, String>,
    pub(super) people: People,
}

/// The kinds of [`NameRow`]s.
const CLIENT: i64 = 0;
const STAGE: i64 = 1;

/// A client, a stage or a member.
#[derive(FromQueryResult)]
struct NameRow {
    kind: i64,
    id: i64,
    name: String,
    user_id: Option<UserId>,
}

/// The ids are those of clients, stages and members; the key is the number of clients and of stages.
static NAMES: QueryTemplate<(usize, usize)> = QueryTemplate::new(|(clients, stages), ids| {
    let (clients, others) = ids.split_at_checked(*clients).unwrap_or_default();
    let (stages, members) = others.split_at_checked(*stages).unwrap_or_default();
    let mut all = Query::select()
        .expr_as(Expr::cust("CAST(0 AS bigint)"), "kind")
        .column(client::Column::Id)
        .column(client::Column::Name)
        .expr_as(Expr::cust("CAST(NULL AS bigint)"), "user_id")
        .from(client::Entity)
        .and_where(client::Column::Id.is_in(clients.iter().copied()))
        .to_owned();
    let stages = Query::select()
        .expr(Expr::cust("CAST(1 AS bigint)"))
        .column(stage::Column::Id)
        .column(stage::Column::Name)
        .expr(Expr::cust("CAST(NULL AS bigint)"))
        .from(stage::Entity)
        .and_where(stage::Column::Id.is_in(stages.iter().copied()))
        .to_owned();
    let members = Query::select()
        .expr(Expr::cust("CAST(2 AS bigint)"))
        .column(member::Column::Id)
        .expr(Expr::cust("''"))
        .column(member::Column::UserId)
        .from(member::Entity)
        .and_where(member::Column::Id.is_in(members.iter().copied()))
        .to_owned();
    all.union(UnionType::All, stages).union(UnionType::All, members).take()
});

/// How much of a deal is paid.
fn payment_status(row: &deal::Model) -> PaymentStatus {
    match row.verified_minor {
        0 => PaymentStatus::Unpaid,
        paid if paid < row.value_minor => PaymentStatus::Partial,
        paid if paid == row.value_minor => PaymentStatus::Full,
        _ => PaymentStatus::Over,
    }
}

pub(super) fn show(row: deal::Model, names: &Names, fields: &[custom_field::Model]) -> Deal {
    let Names { clients, stages, people } = names;
    let money = |minor: i64| row.currency.format(i128::from(minor));
    Deal {
        id: row.id,
        number: row.code.clone(),
        deal_id: row.code.clone(),
        client: ClientStub { id: row.client_id, name: clients.get(&row.client_id).cloned().unwrap_or_default() },
        client_id: row.client_id,
        contact_id: row.contact_id,
        pipeline_id: row.pipeline_id,
        stage: stages.get(&row.stage_id).cloned().unwrap_or_default(),
        stage_id: row.stage_id,
        stage_entered_at: row.stage_entered_at,
        status: row.status,
        value: money(row.value_minor),
        paid_total: money(row.received_minor),
        verified_total: money(row.verified_minor),
        balance: row.currency.format(i128::from(row.value_minor) - i128::from(row.received_minor)),
        payment_status: payment_status(&row),
        currency: row.currency,
        probability: row.probability,
        source: row.source,
        expected_close_date: row.expected_close_date,
        closed_at: row.closed_at,
        lost_reason: row.lost_reason,
        verification_status: row.verification,
        verification_note: row.verification_note,
        owner: people.get(row.owner_id),
        created_by: people.get(row.created_by),
        custom: custom::values_by_key(&row.custom, fields),
        archived_at: row.archived_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
        title: row.title,
        description: row.description,
    }
}

impl Core {
    /// The names that deals refer to, in one statement and one query of the directory.
    async fn load_names(&self, conn: &impl ConnectionTrait, rows: &[deal::Model]) -> Result<Names> {
        let clients: HashSet<i64> = rows.iter().map(|row| row.client_id.0).collect();
        let stages: HashSet<i64> = rows.iter().map(|row| row.stage_id.0).collect();
        let members: HashSet<i64> = rows.iter().flat_map(|row| [row.owner_id.0, row.created_by.0]).collect();
        let [clients, stages, members] = [clients, stages, members].map(db::pad_ids);
        let (key, ids) = ((clients.len(), stages.len()), [clients, stages, members].concat());
        let (mut names, mut users) = (Names::default(), Vec::new());
        for NameRow { kind, id, name, user_id } in NAMES.rows(conn, &key, &ids).await? {
            match kind {
                CLIENT => drop(names.clients.insert(ClientId(id), name)),
                STAGE => drop(names.stages.insert(StageId(id), name)),
                _ => users.extend(user_id.map(|user| (MemberId(id), user))),
            }
        }
        names.people = self.accounts_as_people(users).await?;
        Ok(names)
    }

    /// Converts rows to deals. The number of statements does not depend on the number of rows.
    pub(crate) async fn show_deals(&self, rows: Vec<deal::Model>) -> Result<Vec<Deal>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let pipeline = &self.db.conn().pipeline();
        let org = rows.first().map(|row| row.org_id);
        let stored = rows.iter().map(|row| &row.custom);
        let (names, fields) = tokio::try_join!(
            self.load_names(pipeline, &rows),
            custom::fields_for(pipeline, org, CustomFieldTarget::Deal, stored),
        )?;
        Ok(rows.into_iter().map(|row| show(row, &names, &fields)).collect())
    }

    pub(crate) async fn show_deal(&self, row: deal::Model) -> Result<Deal> {
        let id = row.id;
        self.show_deals(vec![row]).await?.pop().ok_or(Error::DealNotFound(id))
    }
}
