//! Exports. Rows are read in chunks, so that memory does not grow with their number.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use guildhall_kernel::{Caller, PageQuery, background};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::{
    Client, ClientId, CustomFieldTarget, Deal, Exports, Filter, Format, OrganizationId, PipelineId, Result,
    SqlExchange, Table, Viewed,
    core::views::apply_view,
    custom::sql::{self as custom, fields_of},
    entity::{client, custom_field, deal, pipeline},
    exchange::table::{
        csv,
        xlsx::{self, Rows},
    },
    permission::Permission,
};

/// How many rows are read at a time.
const CHUNK: u64 = 1000;

pub(crate) const DEAL_COLUMNS: [&str; 17] = [
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
pub(crate) const CLIENT_COLUMNS: [&str; 9] =
    ["name", "email", "phone", "website", "address", "tax_id", "notes", "owner", "created_at"];

/// The headings of a table, with a column for each custom field.
pub(crate) fn headings(columns: &[&str], fields: &[custom_field::Model]) -> Vec<String> {
    let custom_columns = fields.iter().map(|field| format!("{}{}", custom::PREFIX, field.key));
    columns.iter().map(|&column| column.to_owned()).chain(custom_columns).collect()
}

/// The cells of the custom fields.
fn custom_cells(values: &custom::CustomValues, fields: &[custom_field::Model]) -> impl Iterator<Item = String> {
    fields.iter().map(|field| match values.get(&field.key) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    })
}

impl SqlExchange {
    /// Reads a chunk of deals; returns the last number if there may be more.
    async fn read_deals(
        &self,
        query: Select<deal::Entity>,
        fields: &[custom_field::Model],
        pipelines: &HashMap<PipelineId, String>,
    ) -> Result<(Vec<Vec<String>>, Option<i64>)> {
        let conn = self.core.db.conn();
        let rows = query.order_by_asc(deal::Column::Number).limit(CHUNK).all(conn).await?;
        let last = rows.last().map(|row| row.number).filter(|_| rows.len() as u64 == CHUNK);
        let owners: HashMap<_, _> = rows.iter().map(|row| (row.id, row.owner_id)).collect();
        let people = self.core.members_as_people(conn, owners.values().copied().collect::<Vec<_>>()).await?;
        let deals = self.core.show_deals(rows).await?;
        let row = |deal: Deal| {
            let owner = owners.get(&deal.id).and_then(|id| people.get(*id)).map(|person| person.username);
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
            cells.extend(custom_cells(&deal.custom, fields));
            cells
        };
        Ok((deals.into_iter().map(row).collect(), last))
    }

    /// Reads a chunk of clients; returns the last id if there may be more.
    async fn read_clients(
        &self,
        query: Select<client::Entity>,
        fields: &[custom_field::Model],
    ) -> Result<(Vec<Vec<String>>, Option<ClientId>)> {
        let conn = self.core.db.conn();
        let rows = query.order_by_asc(client::Column::Id).limit(CHUNK).all(conn).await?;
        let last = rows.last().map(|row| row.id).filter(|_| rows.len() as u64 == CHUNK);
        let clients = self.core.show_clients(rows).await?;
        let row = |client: Client| {
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
            cells.extend(custom_cells(&client.custom, fields));
            cells
        };
        Ok((clients.into_iter().map(row).collect(), last))
    }
}

/// Encodes rows in a format.
///
/// The first chunk is read before the response begins, so that a failure becomes an error and not a truncated table.
async fn table(mut rows: Rows, format: Format) -> Result<Table> {
    let first = rows.next().await.transpose()?;
    let rows = stream::iter(first.map(Ok)).chain(rows).boxed();
    match format {
        Format::Csv => {
            let write = async |rows: guildhall_kernel::Result<_>| background::run(async { csv::write(rows?) }).await?;
            Ok(Box::pin(rows.then(write)))
        }
        Format::Xlsx => xlsx::write(rows).await,
    }
}

#[async_trait]
impl Exports for SqlExchange {
    async fn export_deals(
        &self,
        caller: &Caller,
        org: OrganizationId,
        filter: Filter,
        format: Format,
    ) -> Result<Table> {
        let conn = self.core.db.conn();
        let access = self.core.authorize(conn, caller, org, Permission::ExportRun).await?;
        filter.reject_paging()?;
        let page = PageQuery::new(1, 1);
        let (filter, _) = apply_view(conn, &access, Viewed::Deals, filter, page).await?;
        let query = self.core.filtered_deals(&access, None, &filter).await?;
        let fields = Arc::new(fields_of(conn, org, CustomFieldTarget::Deal).await?);
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
        let this = self.clone();
        // The first chunk begins with the headings; each further one starts after the last number of the previous one.
        let chunks = stream::try_unfold(Some(None::<i64>), move |after| {
            let (this, query, fields, pipelines) = (this.clone(), query.clone(), fields.clone(), pipelines.clone());
            async move {
                let Some(after) = after else { return Ok(None) };
                let query = match after {
                    Some(after) => query.filter(deal::COLUMN.number.gt(after)),
                    None => query,
                };
                let headings = headings(&DEAL_COLUMNS, &fields);
                let reading = async move { this.read_deals(query, &fields, &pipelines).await };
                let (mut rows, last) = background::run(reading).await??;
                if after.is_none() {
                    rows.insert(0, headings);
                }
                Ok(Some((rows, last.map(Some))))
            }
        });
        table(chunks.boxed(), format).await
    }

    async fn export_clients(
        &self,
        caller: &Caller,
        org: OrganizationId,
        filter: Filter,
        format: Format,
    ) -> Result<Table> {
        let conn = self.core.db.conn();
        let access = self.core.authorize(conn, caller, org, Permission::ExportRun).await?;
        filter.reject_paging()?;
        let page = PageQuery::new(1, 1);
        let (filter, _) = apply_view(conn, &access, Viewed::Clients, filter, page).await?;
        let query = self.core.filtered_clients(conn, &access, &filter).await?;
        let fields = Arc::new(fields_of(conn, org, CustomFieldTarget::Client).await?);
        let this = self.clone();
        let chunks = stream::try_unfold(Some(None::<ClientId>), move |after| {
            let (this, query, fields) = (this.clone(), query.clone(), fields.clone());
            async move {
                let Some(after) = after else { return Ok(None) };
                let query = match after {
                    Some(after) => query.filter(client::COLUMN.id.gt(after)),
                    None => query,
                };
                let headings = headings(&CLIENT_COLUMNS, &fields);
                let reading = async move { this.read_clients(query, &fields).await };
                let (mut rows, last) = background::run(reading).await??;
                if after.is_none() {
                    rows.insert(0, headings);
                }
                Ok(Some((rows, last.map(Some))))
            }
        });
        table(chunks.boxed(), format).await
    }
}
