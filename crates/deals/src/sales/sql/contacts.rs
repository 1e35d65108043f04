//! Contacts of clients. The permissions for a client include its contacts.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, IfMatch, Ordering, Page, PageQuery,
    db::{self, Tx},
};
use sea_orm::{ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Select};

use super::search_text;
use crate::{
    ClientId, Contact, ContactId, ContactPatch, Contacts, DeletedKind, Error, NewContact, OrganizationId, Result,
    SqlClients,
    core::{access::Access, store::defer_changes},
    entity::{client, contact},
    permission::Permission,
};

pub(crate) fn show(row: contact::Model) -> Contact {
    Contact {
        id: row.id,
        client_id: row.client_id,
        first_name: row.first_name,
        last_name: row.last_name,
        email: row.email,
        phone: row.phone,
        title: row.title,
        is_primary: row.is_primary,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn contacts_of(access: &Access, client: ClientId) -> Select<contact::Entity> {
    contact::Entity::find()
        .filter(contact::COLUMN.org_id.eq(access.org.id))
        .filter(contact::COLUMN.client_id.eq(client))
        .filter(contact::COLUMN.deleted_at.is_null())
}

/// A contact of a client.
pub(crate) async fn find(
    conn: &impl ConnectionTrait,
    access: &Access,
    client: ClientId,
    id: ContactId,
) -> Result<contact::Model> {
    let found = contacts_of(access, client).filter(contact::COLUMN.id.eq(id)).one(conn).await?;
    found.ok_or(Error::NotFound("contact"))
}

impl SqlClients {
    /// Removes the mark from the primary contacts of a client, also from those in the trash.
    pub(crate) async fn demote_primary(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        client: ClientId,
    ) -> Result<()> {
        let primary = contact::Entity::find()
            .filter(contact::COLUMN.org_id.eq(access.org.id))
            .filter(contact::COLUMN.client_id.eq(client))
            .filter(contact::COLUMN.is_primary.eq(true));
        for before in primary.all(tx).await? {
            let after = contact::Model { is_primary: false, updated_at: self.core.now(), ..before.clone() };
            defer_changes(tx, &before, &after).await?;
            self.core.record_changed(tx, (caller, access), "deals.change_contact", &before, &after).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Contacts for SqlClients {
    async fn contacts(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        page: PageQuery,
    ) -> Result<Page<Contact>> {
        let conn = self.core.db.conn();
        let (access, _) = self.core.access_to_client(conn, caller, (org, client), Permission::ClientRead).await?;
        let ordering = Ordering { fields: &[("id", contact::Column::Id)], default: "id", id: contact::Column::Id };
        let page = Page::<contact::Model>::fetch(contacts_of(&access, client), &ordering, &page, conn).await?;
        Ok(page.with_results(|rows| rows.into_iter().map(show).collect()))
    }

    async fn create_contact(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        new: NewContact,
    ) -> Result<Contact> {
        new.validate()?;
        let new = &new;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<client::Entity>(conn, client).await?;
                let path = (org, client);
                let (access, _) = self.core.access_to_client(conn, caller, path, Permission::ClientUpdate).await?;
                if new.is_primary {
                    self.demote_primary(conn, (caller, &access), client).await?;
                }
                let now = self.core.now();
                let mut row = contact::Model {
                    id: ContactId(0),
                    org_id: org,
                    client_id: client,
                    first_name: new.first_name.trim().to_owned(),
                    last_name: new.last_name.trim().to_owned(),
                    email: new.email.trim().to_owned(),
                    phone: new.phone.trim().to_owned(),
                    title: new.title.trim().to_owned(),
                    is_primary: new.is_primary,
                    deleted_at: None,
                    deletion_id: None,
                    created_at: now,
                    updated_at: now,
                    search_text: String::new(),
                };
                row.search_text = search_text::of_contact(&row);
                let row = db::insert(conn, contact::ActiveModel { id: NotSet, ..row.into() }).await?;
                self.core.record_created(conn, (caller, &access), "deals.create_contact", &row).await?;
                Ok(show(row))
            })
            .await
    }

    async fn contact(&self, caller: &Caller, org: OrganizationId, client: ClientId, id: ContactId) -> Result<Contact> {
        let conn = self.core.db.conn();
        let (access, _) = self.core.access_to_client(conn, caller, (org, client), Permission::ClientRead).await?;
        Ok(show(find(conn, &access, client, id).await?))
    }

    async fn change_contact(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        id: ContactId,
        patch: ContactPatch,
        known: IfMatch,
    ) -> Result<Contact> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<client::Entity>(conn, client).await?;
                let path = (org, client);
                let (access, _) = self.core.access_to_client(conn, caller, path, Permission::ClientUpdate).await?;
                let before = find(conn, &access, client, id).await?;
                access.check(known, before.updated_at)?;
                let mut after = before.clone();
                for (field, value) in [
                    (&mut after.first_name, &patch.first_name),
                    (&mut after.last_name, &patch.last_name),
                    (&mut after.email, &patch.email),
                    (&mut after.phone, &patch.phone),
                    (&mut after.title, &patch.title),
                ] {
                    if let Some(value) = value {
                        value.trim().clone_into(field);
                    }
                }
                if patch.is_primary == Some(true) && !before.is_primary {
                    self.demote_primary(conn, (caller, &access), client).await?;
                }
                after.is_primary = patch.is_primary.unwrap_or(after.is_primary);
                after.search_text = search_text::of_contact(&after);
                after.updated_at = self.core.now();
                defer_changes(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.change_contact", &before, &after).await?;
                Ok(show(after))
            })
            .await
    }

    async fn delete_contact(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        id: ContactId,
        known: IfMatch,
    ) -> Result<()> {
        let known = &known;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<client::Entity>(conn, client).await?;
                let path = (org, client);
                let (access, _) = self.core.access_to_client(conn, caller, path, Permission::ClientUpdate).await?;
                let row = find(conn, &access, client, id).await?;
                access.check(known, row.updated_at)?;
                let name = format!("{} {}", row.first_name, row.last_name);
                let deletion = self.core.create_deletion(conn, &access, DeletedKind::Contact, name.trim()).await?;
                let now = self.core.now();
                let (deleted_at, deletion_id) = (Some(now), Some(deletion));
                let after = contact::Model { deleted_at, deletion_id, updated_at: now, ..row.clone() };
                defer_changes(conn, &row, &after).await?;
                let detail = vec![("name", name.into())];
                self.core.record(conn, (caller, &access), "deals.delete_contact", ("contact", id.0), detail).await
            })
            .await
    }
}
