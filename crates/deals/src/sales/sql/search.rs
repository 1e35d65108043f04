//! Search over clients, contacts and deals.

use async_trait::async_trait;
use guildhall_kernel::Caller;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use super::{contacts, list_filters::MAX_QUERY_CHARS};
use crate::{
    Error, OrganizationId, Result, Search, SearchHits, SqlSales,
    entity::{client, contact, deal},
};

/// The maximum number of hits of each kind.
const MAX_HITS: u64 = 10;

#[async_trait]
impl Search for SqlSales {
    async fn search(&self, caller: &Caller, org: OrganizationId, query: String) -> Result<SearchHits> {
        let query = query.as_str();
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        if query.trim().is_empty() || query.chars().count() > MAX_QUERY_CHARS {
            return Err(Error::field("q", format!("Must have 1 to {MAX_QUERY_CHARS} characters.")));
        }
        let pipeline = &conn.pipeline();
        let clients = self.core.apply_search(access.clients(), client::Column::Id, "deals_client", query).await?;
        let deals = self.core.apply_search(access.deals(), deal::Column::Id, "deals_deal", query).await?;
        let visible = access.clients().select_only().column(client::Column::Id).into_query();
        let contacts = contact::Entity::find()
            .filter(contact::COLUMN.org_id.eq(access.org.id))
            .filter(contact::COLUMN.deleted_at.is_null())
            .filter(contact::Column::ClientId.in_subquery(visible));
        let contacts = self.core.apply_search(contacts, contact::Column::Id, "deals_contact", query).await?;
        let (clients, deals, contacts) = tokio::try_join!(
            clients.order_by_desc(client::Column::Id).limit(MAX_HITS).all(pipeline),
            deals.order_by_desc(deal::Column::Number).limit(MAX_HITS).all(pipeline),
            contacts.order_by_desc(contact::Column::Id).limit(MAX_HITS).all(pipeline),
        )?;
        let (clients, deals) = tokio::try_join!(self.core.show_clients(clients), self.core.show_deals(deals))?;
        Ok(SearchHits { clients, contacts: contacts.into_iter().map(contacts::show).collect(), deals })
    }
}
