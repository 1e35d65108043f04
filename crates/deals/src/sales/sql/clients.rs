//! Clients.

use std::collections::HashMap;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, IfMatch, Ordering, Page, PageQuery, mail::address_key, text};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter,
    QuerySelect, Select, Set,
};

use crate::{
    Change, Client, ClientId, ClientPatch, Clients, CustomFieldTarget, DeletedKind, DeletionPreview, Error, Filter,
    NewClient, OrganizationId, Result, SqlSales, Viewed,
    core::{Field, People, ValueKind, access::Access, execute, lock, scalar_i64, store},
    custom::sql::{self as custom, TargetId},
    entity::{client, custom_field},
    event::{self, ClientCreated, ClientData, ClientDeleted},
    permission::{Permission, Scope},
    views::sql::apply_view,
};

const EMAIL_TAKEN: &str = "Another client has this email address.";

/// The digits of a phone number, to compare numbers in any notation; `None` if there are fewer than five.
fn phone_key(phone: &str) -> Option<String> {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    (digits.len() >= 5).then_some(digits)
}

pub(crate) fn email_key(email: &str) -> Option<String> {
    let email = email.trim();
    (!email.is_empty()).then(|| address_key(email))
}

/// Sets the columns for search and comparison, which are derived from others.
pub(crate) fn derive(row: &mut client::Model) {
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
        custom: custom::values_by_key(&row.custom, fields),
        archived_at: row.archived_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// The names of clients.
pub(crate) async fn names(
    conn: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = ClientId>,
) -> Result<HashMap<ClientId, String>> {
    let select = client::Entity::find()
        .select_only()
        .column(client::Column::Id)
        .column(client::Column::Name)
        .filter(client::COLUMN.id.is_in(ids));
    Ok(select.into_tuple::<(ClientId, String)>().all(conn).await?.into_iter().collect())
}

impl SqlSales {
    async fn show_client(&self, row: client::Model) -> Result<Client> {
        let id = row.id;
        self.show_clients(vec![row]).await?.pop().ok_or(Error::ClientNotFound(id))
    }

    /// The clients that the caller may see and that match a filter.
    pub(crate) async fn filtered_clients(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        filter: &Filter,
    ) -> Result<Select<client::Entity>> {
        access.may(Permission::ClientRead)?;
        let fields = [
            Field { name: "id", column: client::Column::Id, kind: ValueKind::Number },
            Field { name: "created_at", column: client::Column::CreatedAt, kind: ValueKind::Timestamp },
            Field { name: "updated_at", column: client::Column::UpdatedAt, kind: ValueKind::Timestamp },
        ];
        let condition = filter.condition(&fields, &["q", "search", "owner", "archived", "email", custom::PREFIX])?;
        let custom = custom::condition(conn, access, CustomFieldTarget::Client, client::Column::Id, filter).await?;
        let select = access.clients().filter(condition).filter(custom);
        let mut select = filter.archived(select, client::Column::ArchivedAt)?;
        if let Some(query) = filter.get("q").or_else(|| filter.get("search")).filter(|query| !query.trim().is_empty()) {
            select = self.apply_search(select, client::Column::Id, "deals_client", query).await?;
        }
        if let Some(email) = filter.get("email") {
            select = select.filter(client::COLUMN.email_key.eq(email_key(email)));
        }
        if let Some(owner) = self.owner_filter(conn, access, filter).await? {
            select = select.filter(client::COLUMN.owner_id.eq(owner));
        }
        Ok(select)
    }

    pub(crate) async fn show_clients(&self, rows: Vec<client::Model>) -> Result<Vec<Client>> {
        let members: Vec<_> = rows.iter().flat_map(|row| [row.owner_id, row.created_by]).collect();
        let people = self.core.members_as_people(self.core.db.conn(), members).await?;
        let org = rows.first().map(|row| row.org_id);
        let stored = rows.iter().map(|row| &row.custom);
        let fields = custom::fields_for(self.core.db.conn(), org, CustomFieldTarget::Client, stored).await?;
        Ok(rows.into_iter().map(|row| show(row, &people, &fields)).collect())
    }
}

#[async_trait]
impl Clients for SqlSales {
    async fn clients(
        &self,
        caller: &Caller,
        org: OrganizationId,
        filter: Filter,
        page: PageQuery,
    ) -> Result<Page<Client>> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        let (filter, page) = apply_view(conn, &access, Viewed::Clients, filter, page).await?;
        let select = self.filtered_clients(conn, &access, &filter).await?;
        let ordering = Ordering {
            fields: &[
                ("id", client::Column::Id),
                ("name", client::Column::NameKey),
                ("created_at", client::Column::CreatedAt),
                ("updated_at", client::Column::UpdatedAt),
            ],
            default: "-id",
            id: client::Column::Id,
        };
        let page = Page::<client::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.take();
        let clients = self.show_clients(rows).await?;
        Ok(page.with(|_| clients))
    }

    async fn create_client(&self, caller: &Caller, org: OrganizationId, new: NewClient) -> Result<Client> {
        new.validate()?;
        let new = &new;
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                let access = self.core.authorize(conn, caller, org, Permission::ClientCreate).await?;
                let owner = match new.owner_id {
                    Some(user) => access.successor(conn, "owner_id", user).await?.id,
                    None => access.member.id,
                };
                if owner != access.member.id {
                    access.may_reassign_to(Permission::ClientReassign, owner)?;
                }
                let custom = custom::validate_new(conn, org, CustomFieldTarget::Client, &new.custom).await?;
                let now = self.core.now();
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
                    custom: Set(custom.json.clone()),
                };
                let row = row.insert(conn).await?;
                custom.store(conn, org, TargetId::Client(row.id)).await?;
                self.core.record_created(conn, (caller, &access), "deals.create_client", &row).await?;
                tx.emit(&ClientCreated { organization_id: org, client: ClientData::from(&row) }).await?;
                Ok::<_, Error>(row)
            })
            .await
            .map_err(|error| error.or_duplicate(&["email"], EMAIL_TAKEN))?;
        self.show_client(row).await
    }

    async fn client(&self, caller: &Caller, org: OrganizationId, id: ClientId) -> Result<Client> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        match access.find_client(conn, id).await {
            Err(Error::ClientNotFound(_)) => {
                // A merge is disclosed only to callers who may see the client that it was merged into.
                let merged_into = self.merged_into(conn, org, id).await?.ok_or(Error::ClientNotFound(id))?;
                access.find_client(conn, merged_into).await.map_err(|_| Error::ClientNotFound(id))?;
                Err(Error::ClientMerged(merged_into))
            }
            row => self.show_client(row?).await,
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
            .core
            .write(|tx| async move {
                let conn = &tx;
                lock::<client::Entity>(conn, id).await?;
                let access = self.core.access(conn, caller, org).await?;
                let before = access.client_for(conn, id, Permission::ClientUpdate).await?;
                access.check(known, before.updated_at)?;
                let mut after = before.clone();
                for (field, value) in [
                    (&mut after.name, &patch.name),
                    (&mut after.email, &patch.email),
                    (&mut after.phone, &patch.phone),
                    (&mut after.website, &patch.website),
                    (&mut after.address, &patch.address),
                    (&mut after.tax_id, &patch.tax_id),
                    (&mut after.notes, &patch.notes),
                ] {
                    if let Some(value) = value {
                        value.trim().clone_into(field);
                    }
                }
                derive(&mut after);
                if let Some(user) = patch.owner_id {
                    let successor = access.successor(conn, "owner_id", user).await?.id;
                    if successor != before.owner_id {
                        access.may_with(Permission::ClientReassign, before.owner_id, before.created_by)?;
                        access.may_reassign_to(Permission::ClientReassign, successor)?;
                        after.owner_id = successor;
                    }
                }
                if let Some(input) = &patch.custom {
                    let values =
                        custom::validate_changed(conn, org, CustomFieldTarget::Client, &before.custom, input).await?;
                    after.custom.clone_from(&values.json);
                    values.store(conn, org, TargetId::Client(id)).await?;
                }
                after.updated_at = self.core.now();
                store(conn, &before, &after).await?;
                if after.name != before.name {
                    self.rename_in_deals(conn, &after).await?;
                }
                self.core.record_changed(conn, (caller, &access), "deals.change_client", &before, &after).await?;
                event::client_updated(&tx, &before, &after).await?;
                Ok::<_, Error>(after)
            })
            .await
            .map_err(|error| error.or_duplicate(&["email"], EMAIL_TAKEN))?;
        self.show_client(row).await
    }

    async fn archive_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        archive: bool,
    ) -> Result<Client> {
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                lock::<client::Entity>(conn, id).await?;
                let access = self.core.access(conn, caller, org).await?;
                let before = access.client_for(conn, id, Permission::ClientUpdate).await?;
                let mut after = before.clone();
                if archive == before.archived_at.is_some() {
                    return Ok(after);
                }
                after.archived_at = archive.then(|| self.core.now());
                after.updated_at = self.core.now();
                store(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.archive_client", &before, &after).await?;
                event::client_updated(&tx, &before, &after).await?;
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
        let access = self.core.access(self.core.db.conn(), caller, org).await?;
        let row = access.client_for(self.core.db.conn(), id, Permission::ClientDelete).await?;
        self.preview(self.core.db.conn(), &access, &row, purge).await
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
        self.core
            .write(|tx| async move {
                let conn = &tx;
                lock::<client::Entity>(conn, id).await?;
                let access = self.core.access(conn, caller, org).await?;
                let row = access.client_for(conn, id, Permission::ClientDelete).await?;
                if purge {
                    access.may(Permission::TrashPurge)?;
                }
                access.check(known, row.updated_at)?;
                access.may_with_deals_of(conn, id, Permission::DealDelete).await?;
                let verified =
                    "SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND client_id = $2 AND verified_minor > 0";
                if access.grants.scope(Permission::ClientDelete) == Some(Scope::Own)
                    && scalar_i64(conn, verified, [org.into(), id.into()]).await? > 0
                {
                    return Err(Error::NotGranted("client.delete"));
                }
                if let Some(token) = token
                    && self.preview(conn, &access, &row, purge).await?.token != *token
                {
                    return Err(Error::PreviewStale);
                }
                let deletion = self.create_deletion(conn, &access, DeletedKind::Client, &row.name).await?;
                self.trash_client(conn, &access, id, deletion).await?;
                let actor = (caller, &access);
                tx.emit(&ClientDeleted { organization_id: org, id, name: row.name.clone(), purge }).await?;
                let detail = vec![("name", row.name.into()), ("purge", purge.into())];
                self.core.record(conn, actor, "deals.delete_client", ("client", id.0), detail).await?;
                if purge { self.purge_deletion(conn, actor, deletion).await } else { Ok(()) }
            })
            .await
    }

    async fn client_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Change>> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        access.find_client(conn, id).await?;
        self.core.changes_of(conn, &access, "client", id.0, &cursor).await
    }
}

impl SqlSales {
    /// Updates the client's name in the search text of its deals.
    pub(crate) async fn rename_in_deals(&self, conn: &impl ConnectionTrait, client: &client::Model) -> Result<()> {
        // The first line holds title and number, the second the client's name.
        let sql = match self.core.db.backend() {
            DbBackend::Sqlite => {
                "UPDATE deals_deal SET search_text = substr(search_text, 1, instr(search_text, char(10))) || $1 \
                 WHERE org_id = $2 AND client_id = $3"
            }
            _ => {
                "UPDATE deals_deal SET search_text = left(search_text, strpos(search_text, chr(10))) || $1 \
                 WHERE org_id = $2 AND client_id = $3"
            }
        };
        execute(conn, sql, [client.name_key.clone().into(), client.org_id.into(), client.id.into()]).await?;
        Ok(())
    }
}
