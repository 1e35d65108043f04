//! The changes of organizations and what is in them. A member of the organization may make them, as on its own pages.

use std::sync::Arc;

use async_trait::async_trait;
use guildhall_admin::{Key, NewColumn, StoredRow, TableWrites};
use guildhall_deals::{ClientId, ContactId, DealId, DealsState, OrganizationId};
use guildhall_kernel::{Caller, Error, IfMatch, Result, idempotency::Idempotent};
use serde_json::{Map, Value};

use super::{take_id, typed};

pub(super) fn writes(deals: &DealsState) -> Vec<Arc<dyn TableWrites>> {
    vec![
        Arc::new(Organizations(deals.clone())),
        Arc::new(Clients(deals.clone())),
        Arc::new(Contacts(deals.clone())),
        Arc::new(Deals(deals.clone())),
    ]
}

struct Organizations(DealsState);

#[async_trait]
impl TableWrites for Organizations {
    fn table(&self) -> &'static str {
        "deals_organization"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const { &[NewColumn::required("name"), NewColumn::optional("is_test")] }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["name"]
    }

    fn deletes(&self) -> bool {
        true
    }

    // An organization with clients is not deleted; all else goes with it.
    fn removes(&self, table: &str) -> bool {
        table.starts_with("deals_") && table != "deals_client"
    }

    async fn create(&self, caller: &Caller, values: Map<String, Value>) -> Result<Key> {
        Ok(Key::of_id(self.0.organizations.create_organization(caller, typed(values)?).await?.id.0))
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let id = OrganizationId(row.id("id")?);
        self.0.organizations.change_organization(caller, id, typed(changes)?, row.version()).await?;
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        let id = OrganizationId(row.id("id")?);
        Ok(self.0.organizations.delete_organization(caller, id, IfMatch::default()).await?)
    }
}

struct Clients(DealsState);

#[async_trait]
impl TableWrites for Clients {
    fn table(&self) -> &'static str {
        "deals_client"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const {
            &[
                NewColumn::required("org_id"),
                NewColumn::required("name"),
                NewColumn::optional("email"),
                NewColumn::optional("phone"),
                NewColumn::optional("website"),
                NewColumn::optional("address"),
                NewColumn::optional("tax_id"),
                NewColumn::optional("notes"),
            ]
        }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["name", "email", "phone", "website", "address", "tax_id", "notes"]
    }

    async fn create(&self, caller: &Caller, mut values: Map<String, Value>) -> Result<Key> {
        let org = OrganizationId(take_id(&mut values, "org_id")?);
        Ok(Key::of_id(self.0.clients.create_client(caller, org, typed(values)?).await?.id.0))
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let (org, id) = (OrganizationId(row.id("org_id")?), ClientId(row.id("id")?));
        self.0.clients.change_client(caller, org, id, typed(changes)?, row.version()).await?;
        Ok(())
    }
}

struct Contacts(DealsState);

#[async_trait]
impl TableWrites for Contacts {
    fn table(&self) -> &'static str {
        "deals_contact"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const {
            &[
                NewColumn::required("org_id"),
                NewColumn::required("client_id"),
                NewColumn::required("first_name"),
                NewColumn::optional("last_name"),
                NewColumn::optional("email"),
                NewColumn::optional("phone"),
                NewColumn::optional("title"),
                NewColumn::optional("is_primary"),
            ]
        }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["first_name", "last_name", "email", "phone", "title"]
    }

    async fn create(&self, caller: &Caller, mut values: Map<String, Value>) -> Result<Key> {
        let org = OrganizationId(take_id(&mut values, "org_id")?);
        let client = ClientId(take_id(&mut values, "client_id")?);
        Ok(Key::of_id(self.0.contacts.create_contact(caller, org, client, typed(values)?).await?.id.0))
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let (org, client) = (OrganizationId(row.id("org_id")?), ClientId(row.id("client_id")?));
        let id = ContactId(row.id("id")?);
        self.0.contacts.change_contact(caller, org, client, id, typed(changes)?, row.version()).await?;
        Ok(())
    }
}

struct Deals(DealsState);

#[async_trait]
impl TableWrites for Deals {
    fn table(&self) -> &'static str {
        "deals_deal"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const {
            &[
                NewColumn::required("org_id"),
                NewColumn::required("client_id"),
                NewColumn::required("title"),
                NewColumn::optional("description"),
                NewColumn::optional("source"),
            ]
        }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["title", "description", "source", "probability"]
    }

    async fn create(&self, caller: &Caller, mut values: Map<String, Value>) -> Result<Key> {
        let org = OrganizationId(take_id(&mut values, "org_id")?);
        match self.0.deals.create_deal(caller, org, None, typed(values)?, None).await? {
            Idempotent::Created(deal) => Ok(Key::of_id(deal.id.0)),
            Idempotent::Replayed(_) => Err(Error::internal("a request without a key was replayed")),
        }
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let (org, id) = (OrganizationId(row.id("org_id")?), DealId(row.id("id")?));
        self.0.deals.change_deal(caller, org, id.into(), typed(changes)?, row.version()).await?;
        Ok(())
    }
}
