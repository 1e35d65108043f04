//! Clients.

use std::collections::HashMap;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, Slice, SliceQuery, mail::address_key, text};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select,
    Set,
};

use super::{
    People, SqlDeals,
    access::Access,
    custom::{self, About},
    lock, number, run, store,
};
use crate::{
    Change, Client, ClientId, ClientPatch, Clients, Contact, ContactId, ContactPatch, Customized, DeletedKind,
    DeletionPreview, Duplicate, Error, Filter, NewClient, NewContact, OrganizationId, Result, Viewed,
    entity::{client, custom_field},
    filter::{Field, Holds},
    permission::{Permission, Scope},
};

const TAKEN: &str = "Another client has this e-mail address.";

/// The digits of a telephone number, by which it is found in any spelling; none where there are too few.
fn phone_key(phone: &str) -> Option<String> {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    (digits.len() >= 5).then_some(digits)
}

pub(super) fn email_key(email: &str) -> Option<String> {
    let email = email.trim();
    (!email.is_empty()).then(|| address_key(email))
}

/// What is found and told apart by other columns follows them.
pub(super) fn derive(row: &mut client::Model) {
    row.name_key = text::fold(&row.name);
    row.email_key = email_key(&row.email);
    row.phone_key = phone_key(&row.phone);
    row.search_text = text::fold(&format!("{} {} {}", row.name, row.email, row.phone));
}

fn show(row: client::Model, people: &People, fields: &[custom_field::Model]) -> Client {
    Client {
        id: row.id,
        name: row.name,
        email: row.email,
        phone: row.phone,
        website: row.website,
        address: row.address,
        tax_id: row.tax_id,
        notes: row.notes,
        owner: people.get(row.owner_id),
        created_by: people.get(row.created_by),
        custom: custom::shown(&row.custom, fields),
        archived_at: row.archived_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// What clients are called.
pub(super) async fn names(
    conn: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = ClientId>,
) -> Result<HashMap<ClientId, String>> {
    let named = client::Entity::find()
        .select_only()
        .column(client::Column::Id)
        .column(client::Column::Name)
        .filter(client::COLUMN.id.is_in(ids));
    Ok(named.into_tuple::<(ClientId, String)>().all(conn).await?.into_iter().collect())
}

impl SqlDeals {
    async fn show_client(&self, row: client::Model) -> Result<Client> {
        let id = row.id;
        self.show_clients(vec![row]).await?.pop().ok_or(Error::ClientNotFound(id))
    }

    /// The clients that the caller may see and that a filter lets through.
    pub(super) async fn narrowed_clients(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        filter: &Filter,
    ) -> Result<Select<client::Entity>> {
        access.may(Permission::ClientRead)?;
        let fields = [
            Field { name: "id", column: client::Column::Id, holds: Holds::Number },
            Field { name: "created_at", column: client::Column::CreatedAt, holds: Holds::Moment },
            Field { name: "updated_at", column: client::Column::UpdatedAt, holds: Holds::Moment },
        ];
        let condition = filter.condition(&fields, &["q", "search", "owner", "archived", "email", custom::PREFIX])?;
        let said = custom::condition(conn, access, Customized::Client, client::Column::Id, filter).await?;
        let seen = access.clients().filter(condition).filter(said);
        let mut select = filter.archived(seen, client::Column::ArchivedAt)?;
        if let Some(words) = filter.get("q").or_else(|| filter.get("search")).filter(|words| !words.trim().is_empty()) {
            select = self.with_words(select, client::Column::Id, "deals_client", words).await?;
        }
        if let Some(email) = filter.get("email") {
            select = select.filter(client::COLUMN.email_key.eq(email_key(email)));
        }
        if let Some(owner) = self.owner_of(conn, access, filter).await? {
            select = select.filter(client::COLUMN.owner_id.eq(owner));
        }
        Ok(select)
    }

    pub(super) async fn show_clients(&self, rows: Vec<client::Model>) -> Result<Vec<Client>> {
        let members: Vec<_> = rows.iter().flat_map(|row| [row.owner_id, row.created_by]).collect();
        let people = self.members_as_people(self.db.conn(), members).await?;
        let org = rows.first().map(|row| row.org_id);
        let stored = rows.iter().map(|row| &row.custom);
        let fields = custom::fields_for(self.db.conn(), org, Customized::Client, stored).await?;
        Ok(rows.into_iter().map(|row| show(row, &people, &fields)).collect())
    }
}

#[async_trait]
impl Clients for SqlDeals {
    async fn clients(
        &self,
        caller: &Caller,
        org: OrganizationId,
        filter: Filter,
        page: PageQuery,
    ) -> Result<Page<Client>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let (filter, page) = self.through_view(conn, &access, Viewed::Clients, filter, page).await?;
        let select = self.narrowed_clients(conn, &access, &filter).await?;
        let ordering = Ordering {
            fields: &[
                ("id", client::Column::Id),
                ("name", client::Column::NameKey),
                ("created_at", client::Column::CreatedAt),
                ("updated_at", client::Column::UpdatedAt),
            ],
            usual: "-id",
            id: client::Column::Id,
        };
        let page = Page::<client::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.take();
        let shown = self.show_clients(rows).await?;
        Ok(page.with(|_| shown))
    }

    async fn create_client(&self, caller: &Caller, org: OrganizationId, new: NewClient) -> Result<Client> {
        new.validate()?;
        let new = &new;
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                let access = self.enter_to(conn, caller, org, Permission::ClientCreate).await?;
                let owner = match new.owner_id {
                    Some(user) => access.heir(conn, "owner_id", user).await?.id,
                    None => access.member.id,
                };
                if owner != access.member.id {
                    access.may_hand_to(Permission::ClientReassign, owner)?;
                }
                let custom = custom::take_new(conn, org, Customized::Client, &new.custom).await?;
                let now = self.now();
                let name = new.name.trim();
                let row = client::ActiveModel {
                    id: NotSet,
                    org_id: Set(org),
                    name: Set(name.to_owned()),
                    name_key: Set(text::fold(name)),
                    email: Set(new.email.trim().to_owned()),
                    email_key: Set(email_key(&new.email)),
                    phone: Set(new.phone.trim().to_owned()),
                    phone_key: Set(phone_key(&new.phone)),
                    website: Set(new.website.trim().to_owned()),
                    address: Set(new.address.clone()),
                    tax_id: Set(new.tax_id.trim().to_owned()),
                    notes: Set(new.notes.clone()),
                    owner_id: Set(owner),
                    created_by: Set(access.member.id),
                    search_text: Set(text::fold(&format!("{name} {} {}", new.email.trim(), new.phone.trim()))),
                    archived_at: Set(None),
                    deleted_at: Set(None),
                    deletion_id: Set(None),
                    created_at: Set(now),
                    updated_at: Set(now),
                    import_id: Set(None),
                    custom: Set(custom.stored.clone()),
                };
                let row = row.insert(conn).await?;
                custom.keep(conn, org, About::Client(row.id)).await?;
                self.made(conn, (caller, &access), "deals.create_client", &row).await?;
                Ok::<_, Error>(row)
            })
            .await
            .map_err(|error| error.or_duplicate(&["email"], TAKEN))?;
        self.show_client(row).await
    }

    async fn client(&self, caller: &Caller, org: OrganizationId, id: ClientId) -> Result<Client> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        match access.find_client(conn, id).await {
            Err(Error::ClientNotFound(_)) => {
                // What has become another is told to those who may see that.
                let now = self.merged_into(conn, org, id).await?.ok_or(Error::ClientNotFound(id))?;
                access.find_client(conn, now).await.map_err(|_| Error::ClientNotFound(id))?;
                Err(Error::ClientMerged(now))
            }
            found => self.show_client(found?).await,
        }
    }

    async fn change_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        patch: ClientPatch,
        known: IfMatch,
    ) -> Result<Client> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                lock::<client::Entity>(conn, id).await?;
                let access = self.enter(conn, caller, org).await?;
                let before = access.client_for(conn, id, Permission::ClientUpdate).await?;
                access.check(known, before.updated_at)?;
                let mut after = before.clone();
                for (field, change) in [
                    (&mut after.name, &patch.name),
                    (&mut after.email, &patch.email),
                    (&mut after.phone, &patch.phone),
                    (&mut after.website, &patch.website),
                    (&mut after.address, &patch.address),
                    (&mut after.tax_id, &patch.tax_id),
                    (&mut after.notes, &patch.notes),
                ] {
                    if let Some(change) = change {
                        change.trim().clone_into(field);
                    }
                }
                derive(&mut after);
                if let Some(user) = patch.owner_id {
                    let heir = access.heir(conn, "owner_id", user).await?.id;
                    if heir != before.owner_id {
                        access.may_with(Permission::ClientReassign, before.owner_id, before.created_by)?;
                        access.may_hand_to(Permission::ClientReassign, heir)?;
                        after.owner_id = heir;
                    }
                }
                if let Some(given) = &patch.custom {
                    let taken = custom::take_changed(conn, org, Customized::Client, &before.custom, given).await?;
                    after.custom.clone_from(&taken.stored);
                    taken.keep(conn, org, About::Client(id)).await?;
                }
                after.updated_at = self.now();
                store(conn, &before, &after).await?;
                if after.name != before.name {
                    self.rename_in_deals(conn, &after).await?;
                }
                self.changed(conn, (caller, &access), "deals.change_client", &before, &after).await?;
                Ok::<_, Error>(after)
            })
            .await
            .map_err(|error| error.or_duplicate(&["email"], TAKEN))?;
        self.show_client(row).await
    }

    async fn archive_client(&self, caller: &Caller, org: OrganizationId, id: ClientId, aside: bool) -> Result<Client> {
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                lock::<client::Entity>(conn, id).await?;
                let access = self.enter(conn, caller, org).await?;
                let before = access.client_for(conn, id, Permission::ClientUpdate).await?;
                let mut after = before.clone();
                if aside == before.archived_at.is_some() {
                    return Ok(after);
                }
                after.archived_at = aside.then(|| self.now());
                after.updated_at = self.now();
                store(conn, &before, &after).await?;
                self.changed(conn, (caller, &access), "deals.archive_client", &before, &after).await?;
                Ok::<_, Error>(after)
            })
            .await?;
        self.show_client(row).await
    }

    async fn preview_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        purge: bool,
    ) -> Result<DeletionPreview> {
        let access = self.enter(self.db.conn(), caller, org).await?;
        let row = access.client_for(self.db.conn(), id, Permission::ClientDelete).await?;
        self.preview(self.db.conn(), &access, &row, purge).await
    }

    async fn delete_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        purge: bool,
        token: Option<String>,
        known: IfMatch,
    ) -> Result<()> {
        let (token, known) = (&token, &known);
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<client::Entity>(conn, id).await?;
            let access = self.enter(conn, caller, org).await?;
            let row = access.client_for(conn, id, Permission::ClientDelete).await?;
            if purge {
                access.may(Permission::TrashPurge)?;
            }
            access.check(known, row.updated_at)?;
            access.may_with_deals_of(conn, id, Permission::DealDelete).await?;
            let verified =
                "SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND client_id = $2 AND verified_minor > 0";
            if access.grants.scope(Permission::ClientDelete) == Some(Scope::Own)
                && number(conn, verified, [org.into(), id.into()]).await? > 0
            {
                return Err(Error::NotGranted("client.delete"));
            }
            if let Some(token) = token
                && self.preview(conn, &access, &row, purge).await?.token != *token
            {
                return Err(Error::PreviewStale);
            }
            let deletion = self.open_deletion(conn, &access, DeletedKind::Client, &row.name).await?;
            self.trash_client(conn, &access, id, deletion).await?;
            let act = (caller, &access);
            let detail = vec![("name", row.name.into()), ("purge", purge.into())];
            self.noted(conn, act, "deals.delete_client", ("client", id.0), detail).await?;
            if purge { self.purge_deletion(conn, act, deletion).await } else { Ok(()) }
        })
        .await
    }

    async fn client_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        slice: SliceQuery,
    ) -> Result<Slice<Change>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        access.find_client(conn, id).await?;
        self.changes_of(conn, &access, "client", id.0, &slice).await
    }

    async fn duplicates(&self, caller: &Caller, org: OrganizationId, id: ClientId) -> Result<Vec<Duplicate>> {
        self.find_duplicates(caller, org, id).await
    }

    async fn merge_clients(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        other: ClientId,
    ) -> Result<Client> {
        self.merge(caller, org, id, other).await
    }

    async fn contacts(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        page: PageQuery,
    ) -> Result<Page<Contact>> {
        self.list_contacts(caller, org, client, page).await
    }

    async fn create_contact(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        new: NewContact,
    ) -> Result<Contact> {
        new.validate()?;
        self.insert_contact(caller, org, client, &new).await
    }

    async fn contact(&self, caller: &Caller, org: OrganizationId, client: ClientId, id: ContactId) -> Result<Contact> {
        self.find_contact(caller, org, client, id).await
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
        self.update_contact(caller, org, client, id, &patch, &known).await
    }

    async fn delete_contact(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        id: ContactId,
        known: IfMatch,
    ) -> Result<()> {
        self.drop_contact(caller, org, client, id, &known).await
    }
}

impl SqlDeals {
    /// Deals are found by their client's name too.
    pub(super) async fn rename_in_deals(&self, conn: &impl ConnectionTrait, client: &client::Model) -> Result<()> {
        // Title and number stand before the client's name, in a line of their own.
        let sql = match self.db.backend() {
            sea_orm::DbBackend::Sqlite => {
                "UPDATE deals_deal SET search_text = substr(search_text, 1, instr(search_text, char(10))) || $1 \
                 WHERE org_id = $2 AND client_id = $3"
            }
            _ => {
                "UPDATE deals_deal SET search_text = left(search_text, strpos(search_text, chr(10))) || $1 \
                 WHERE org_id = $2 AND client_id = $3"
            }
        };
        run(conn, sql, [client.name_key.clone().into(), client.org_id.into(), client.id.into()]).await?;
        Ok(())
    }
}
