//! Search over clients, contacts and deals.

use async_trait::async_trait;
use guildhall_kernel::Caller;
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Value,
    sea_query::{ArrayType, Expr},
};

use super::contacts;
use crate::{
    Error, OrganizationId, Result, Search, SearchHits, SqlSales,
    core::search_condition,
    entity::{client, contact, deal},
};

/// The maximum number of hits of each kind.
const MAX_HITS: u64 = 10;
/// Up to this number of matches, the ids are read before the list.
const MAX_IDS: u64 = 1000;
/// The maximum length of a query, in characters.
const MAX_QUERY_CHARS: usize = 200;

impl SqlSales {
    /// Restricts rows to those that contain all terms of a query.
    ///
    /// PostgreSQL plans without knowing the terms. It assumes that they are common and scans the rows in list order
    /// until a page is full; for rare terms that is the whole table. So the ids of the first matches are read in any
    /// order, for which it uses the trigram index. If there are no more matches, the list is restricted to these ids.
    pub(crate) async fn apply_search<E: EntityTrait>(
        &self,
        rows: Select<E>,
        id: E::Column,
        table: &'static str,
        query: &str,
    ) -> Result<Select<E>> {
        if query.chars().count() > MAX_QUERY_CHARS {
            return Err(Error::field("q", format!("Must have at most {MAX_QUERY_CHARS} characters.")));
        }
        let matching = rows.clone().filter(search_condition(table, query, self.core.db.backend()));
        if self.core.db.backend() != DbBackend::Postgres {
            return Ok(matching);
        }
        let ids = matching.clone().select_only().column(id).limit(MAX_IDS + 1);
        let ids: Vec<i64> = ids.into_tuple().all(self.core.db.conn()).await?;
        if ids.len() as u64 > MAX_IDS {
            return Ok(matching);
        }
        let ids = Value::Array(ArrayType::BigInt, Some(Box::new(ids.into_iter().map(Value::from).collect())));
        Ok(rows.filter(Expr::cust_with_values(format!("{table}.id = ANY($1)"), [ids])))
    }
}

#[async_trait]
impl Search for SqlSales {
    async fn search(&self, caller: &Caller, org: OrganizationId, query: String) -> Result<SearchHits> {
        let query = query.as_str();
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        if query.trim().is_empty() || query.chars().count() > MAX_QUERY_CHARS {
            return Err(Error::field("q", format!("Must have 1 to {MAX_QUERY_CHARS} characters.")));
        }
        let clients = access.clients();
        let clients = self.apply_search(clients, client::Column::Id, "deals_client", query).await?;
        let clients = clients.order_by_desc(client::Column::Id).limit(MAX_HITS).all(conn).await?;
        let deals = self.apply_search(access.deals(), deal::Column::Id, "deals_deal", query).await?;
        let deals = deals.order_by_desc(deal::Column::Number).limit(MAX_HITS).all(conn).await?;
        let visible = access.clients().select_only().column(client::Column::Id).into_query();
        let contacts = contact::Entity::find()
            .filter(contact::COLUMN.org_id.eq(access.org.id))
            .filter(contact::COLUMN.deleted_at.is_null())
            .filter(contact::Column::ClientId.in_subquery(visible));
        let contacts = self.apply_search(contacts, contact::Column::Id, "deals_contact", query).await?;
        let contacts = contacts.order_by_desc(contact::Column::Id).limit(MAX_HITS).all(conn).await?;
        Ok(SearchHits {
            clients: self.show_clients(clients).await?,
            contacts: contacts.into_iter().map(contacts::show).collect(),
            deals: self.show_deals(conn, deals).await?,
        })
    }
}
