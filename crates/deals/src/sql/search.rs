//! Finding something without knowing what it is.

use guildhall_kernel::Caller;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use super::{SqlDeals, contacts};
use crate::{
    Error, Found, OrganizationId, Result,
    entity::{client, contact, deal},
    filter::containing,
};

/// How many of each kind are shown.
const MOST: u64 = 10;
/// The longest text that is searched for, in characters.
const LONGEST: usize = 200;

impl SqlDeals {
    pub(super) async fn find_anything(&self, caller: &Caller, org: OrganizationId, words: &str) -> Result<Found> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        if words.trim().is_empty() || words.chars().count() > LONGEST {
            return Err(Error::field("q", format!("Up to {LONGEST} characters are needed.")));
        }
        let backend = self.db.backend();
        let clients = access
            .clients()
            .filter(containing("deals_client", words, backend))
            .order_by_desc(client::Column::Id)
            .limit(MOST)
            .all(conn)
            .await?;
        let deals = access
            .deals()
            .filter(containing("deals_deal", words, backend))
            .order_by_desc(deal::Column::Number)
            .limit(MOST)
            .all(conn)
            .await?;
        let seen = access.clients().select_only().column(client::Column::Id).into_query();
        let contacts = contact::Entity::find()
            .filter(contact::COLUMN.org_id.eq(access.org.id))
            .filter(contact::COLUMN.deleted_at.is_null())
            .filter(contact::Column::ClientId.in_subquery(seen))
            .filter(containing("deals_contact", words, backend))
            .order_by_desc(contact::Column::Id)
            .limit(MOST)
            .all(conn)
            .await?;
        Ok(Found {
            clients: self.show_clients(clients).await?,
            contacts: contacts.into_iter().map(contacts::show).collect(),
            deals: self.show_deals(conn, deals).await?,
        })
    }
}
