//! Tables of what the caller may see, read piece by piece, so that a million rows need no more room than a thousand.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use guildhall_kernel::{Caller, PageQuery, background};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::{
    SqlDeals,
    custom::{self, fields_of},
    sheet,
    workbook::{self, Rows},
};
use crate::{
    ClientId, Customized, Fault, Filter, Format, OrganizationId, PipelineId, Result, Table, Viewed,
    entity::{client, custom_field, deal, pipeline},
    permission::Permission,
};

/// How many rows are read at once.
const PIECE: u64 = 1000;

pub(super) const DEAL_COLUMNS: [&str; 17] = [
    "number",
    "title",
    "client",
    "value",
    "currency",
    "pipeline",
    "stage",
    "status",
    "lost_reason",
    "probability",
    "expected_close_date",
    "source",
    "description",
    "owner",
    "paid_total",
    "balance",
    "created_at",
];
pub(super) const CLIENT_COLUMNS: [&str; 9] =
    ["name", "email", "phone", "website", "address", "tax_id", "notes", "owner", "created_at"];

/// The headings of a table, with a column for each field of the organization's own.
pub(super) fn headings(columns: &[&str], fields: &[custom_field::Model]) -> Vec<String> {
    let own = fields.iter().map(|field| format!("{}{}", custom::PREFIX, field.key));
    columns.iter().map(|&column| column.to_owned()).chain(own).collect()
}

/// What these fields say, as cells.
fn said(given: &custom::Given, fields: &[custom_field::Model]) -> impl Iterator<Item = String> {
    fields.iter().map(|field| match given.get(&field.key) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    })
}

/// A table of one piece.
fn at_once(bytes: guildhall_kernel::Result<Bytes>) -> Table {
    Box::pin(stream::iter([bytes]))
}

impl SqlDeals {
    async fn piece_of_deals(
        &self,
        found: Select<deal::Entity>,
        fields: &[custom_field::Model],
        pipelines: &HashMap<PipelineId, String>,
    ) -> Result<(Vec<Vec<String>>, Option<i64>)> {
        let conn = self.db.conn();
        let rows = found.order_by_asc(deal::Column::Number).limit(PIECE).all(conn).await?;
        let last = rows.last().map(|row| row.number).filter(|_| rows.len() as u64 == PIECE);
        let people: HashMap<_, _> = rows.iter().map(|row| (row.id, row.owner_id)).collect();
        let named = self.members_as_people(conn, people.values().copied().collect::<Vec<_>>()).await?;
        let shown = self.show_deals(conn, rows).await?;
        let row = |deal: crate::Deal| {
            let owner = people.get(&deal.id).and_then(|id| named.get(*id)).map(|person| person.username);
            let mut cells = vec![
                deal.number,
                deal.title,
                deal.client.name,
                deal.value,
                deal.currency.to_string(),
                pipelines.get(&deal.pipeline_id).cloned().unwrap_or_default(),
                deal.stage,
                serde_json::json!(deal.status).as_str().unwrap_or_default().to_owned(),
                deal.lost_reason,
                deal.probability.to_string(),
                deal.expected_close_date.map(|day| day.to_string()).unwrap_or_default(),
                deal.source,
                deal.description,
                owner.unwrap_or_default(),
                deal.paid_total,
                deal.balance,
                deal.created_at.to_string(),
            ];
            cells.extend(said(&deal.custom, fields));
            cells
        };
        Ok((shown.into_iter().map(row).collect(), last))
    }

    async fn piece_of_clients(
        &self,
        found: Select<client::Entity>,
        fields: &[custom_field::Model],
    ) -> Result<(Vec<Vec<String>>, Option<ClientId>)> {
        let conn = self.db.conn();
        let rows = found.order_by_asc(client::Column::Id).limit(PIECE).all(conn).await?;
        let last = rows.last().map(|row| row.id).filter(|_| rows.len() as u64 == PIECE);
        let shown = self.show_clients(rows).await?;
        let row = |client: crate::Client| {
            let mut cells = vec![
                client.name,
                client.email,
                client.phone,
                client.website,
                client.address,
                client.tax_id,
                client.notes,
                client.owner.map(|owner| owner.username).unwrap_or_default(),
                client.created_at.to_string(),
            ];
            cells.extend(said(&client.custom, fields));
            cells
        };
        Ok((shown.into_iter().map(row).collect(), last))
    }

    pub(super) async fn table_of_deals(
        &self,
        caller: &Caller,
        org: OrganizationId,
        filter: &Filter,
        format: Format,
    ) -> Result<Table> {
        let conn = self.db.conn();
        let access = self.enter_to(conn, caller, org, Permission::ExportRun).await?;
        filter.for_all_rows()?;
        let page = PageQuery::new(1, 1);
        let (filter, _) = self.through_view(conn, &access, Viewed::Deals, filter.clone(), page).await?;
        let all = self.narrowed_deals(conn, &access, None, &filter).await?;
        let fields = Arc::new(fields_of(conn, org, Customized::Deal).await?);
        let pipelines: HashMap<PipelineId, String> = pipeline::Entity::find()
            .select_only()
            .column(pipeline::Column::Id)
            .column(pipeline::Column::Name)
            .filter(pipeline::COLUMN.org_id.eq(org))
            .into_tuple::<(PipelineId, String)>()
            .all(conn)
            .await?
            .into_iter()
            .collect();
        let pipelines = Arc::new(pipelines);
        let deals = self.clone();
        // Begins with the headings; each piece then begins behind the last number of the one before.
        let pieces = stream::try_unfold(Some(None::<i64>), move |after| {
            let (deals, all, fields, pipelines) = (deals.clone(), all.clone(), fields.clone(), pipelines.clone());
            async move {
                let Some(after) = after else { return Ok(None) };
                let found = match after {
                    Some(after) => all.filter(deal::COLUMN.number.gt(after)),
                    None => all,
                };
                let headings = headings(&DEAL_COLUMNS, &fields);
                let reading = async move { deals.piece_of_deals(found, &fields, &pipelines).await };
                let (mut rows, last) = background::run(reading).await??;
                if after.is_none() {
                    rows.insert(0, headings);
                }
                Ok(Some((rows, last.map(Some))))
            }
        });
        table(pieces.boxed(), format).await
    }

    pub(super) async fn table_of_clients(
        &self,
        caller: &Caller,
        org: OrganizationId,
        filter: &Filter,
        format: Format,
    ) -> Result<Table> {
        let conn = self.db.conn();
        let access = self.enter_to(conn, caller, org, Permission::ExportRun).await?;
        filter.for_all_rows()?;
        let page = PageQuery::new(1, 1);
        let (filter, _) = self.through_view(conn, &access, Viewed::Clients, filter.clone(), page).await?;
        let all = self.narrowed_clients(conn, &access, &filter).await?;
        let fields = Arc::new(fields_of(conn, org, Customized::Client).await?);
        let deals = self.clone();
        let pieces = stream::try_unfold(Some(None::<ClientId>), move |after| {
            let (deals, all, fields) = (deals.clone(), all.clone(), fields.clone());
            async move {
                let Some(after) = after else { return Ok(None) };
                let found = match after {
                    Some(after) => all.filter(client::COLUMN.id.gt(after)),
                    None => all,
                };
                let headings = headings(&CLIENT_COLUMNS, &fields);
                let reading = async move { deals.piece_of_clients(found, &fields).await };
                let (mut rows, last) = background::run(reading).await??;
                if after.is_none() {
                    rows.insert(0, headings);
                }
                Ok(Some((rows, last.map(Some))))
            }
        });
        table(pieces.boxed(), format).await
    }
}

/// Rows in a format.
///
/// The first piece is read before there is an answer: what fails then is an error, and not a table that breaks off.
async fn table(mut rows: Rows, format: Format) -> Result<Table> {
    let first = rows.next().await.transpose()?;
    let rows = stream::iter(first.map(Ok)).chain(rows).boxed();
    match format {
        Format::Csv => {
            let write =
                async |rows: guildhall_kernel::Result<_>| background::run(async { sheet::write(rows?) }).await?;
            Ok(Box::pin(rows.then(write)))
        }
        Format::Xlsx => workbook::write(rows).await,
    }
}

/// The faults of a table, as a table.
pub(super) fn table_of_faults(faults: &[Fault]) -> Table {
    let headings = vec!["line", "column", "field", "value", "code", "message"];
    let headings = headings.into_iter().map(str::to_owned).collect();
    let row = |fault: &Fault| {
        vec![
            fault.line.to_string(),
            fault.column.clone(),
            fault.field.clone(),
            fault.value.clone(),
            fault.code.clone(),
            fault.message.clone(),
        ]
    };
    at_once(sheet::write(std::iter::once(headings).chain(faults.iter().map(row))))
}
