//! Finding something without knowing what it is.

use guildhall_kernel::Caller;
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Value,
    sea_query::{ArrayType, Expr},
};

use super::{SqlDeals, contacts};
use crate::{
    Error, Found, OrganizationId, Result,
    entity::{client, contact, deal},
    filter::containing,
};

/// How many of each kind are shown.
const MOST: u64 = 10;
/// How many rows are looked up before the list is read.
const FEW: u64 = 1000;
/// The longest text that is searched for, in characters.
const LONGEST: usize = 200;

impl SqlDeals {
    /// Narrows rows to those that have all words of a search in them.
    ///
    /// PostgreSQL plans without knowing the words. It takes them for common ones, and reads the rows in the order of
    /// the list until a page is full; of rare ones it would read them all. So it is first asked for a few in any
    /// order, for which it takes the index of words; where there are no more, these are the rows.
    pub(super) async fn with_words<E: EntityTrait>(
        &self,
        rows: Select<E>,
        id: E::Column,
        table: &'static str,
        words: &str,
    ) -> Result<Select<E>> {
        if words.chars().count() > LONGEST {
            return Err(Error::field("q", format!("Up to {LONGEST} characters are searched for.")));
        }
        let found = rows.clone().filter(containing(table, words, self.db.backend()));
        if self.db.backend() != DbBackend::Postgres {
            return Ok(found);
        }
        let few = found.clone().select_only().column(id).limit(FEW + 1);
        let few: Vec<i64> = few.into_tuple().all(self.db.conn()).await?;
        if few.len() as u64 > FEW {
            return Ok(found);
        }
        let few = Value::Array(ArrayType::BigInt, Some(Box::new(few.into_iter().map(Value::from).collect())));
        Ok(rows.filter(Expr::cust_with_values(format!("{table}.id = ANY($1)"), [few])))
    }

    pub(super) async fn find_anything(&self, caller: &Caller, org: OrganizationId, words: &str) -> Result<Found> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        if words.trim().is_empty() || words.chars().count() > LONGEST {
            return Err(Error::field("q", format!("Up to {LONGEST} characters are needed.")));
        }
        let clients = access.clients();
        let clients = self.with_words(clients, client::Column::Id, "deals_client", words).await?;
        let clients = clients.order_by_desc(client::Column::Id).limit(MOST).all(conn).await?;
        let deals = self.with_words(access.deals(), deal::Column::Id, "deals_deal", words).await?;
        let deals = deals.order_by_desc(deal::Column::Number).limit(MOST).all(conn).await?;
        let seen = access.clients().select_only().column(client::Column::Id).into_query();
        let contacts = contact::Entity::find()
            .filter(contact::COLUMN.org_id.eq(access.org.id))
            .filter(contact::COLUMN.deleted_at.is_null())
            .filter(contact::Column::ClientId.in_subquery(seen));
        let contacts = self.with_words(contacts, contact::Column::Id, "deals_contact", words).await?;
        let contacts = contacts.order_by_desc(contact::Column::Id).limit(MOST).all(conn).await?;
        Ok(Found {
            clients: self.show_clients(clients).await?,
            contacts: contacts.into_iter().map(contacts::show).collect(),
            deals: self.show_deals(conn, deals).await?,
        })
    }
}
