//! Clients.

pub(crate) mod draft;
pub(crate) mod keys;
pub(crate) mod patch;
pub(crate) mod show;

mod list;
mod preview;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, IfMatch, Page, PageQuery, db};
use sea_orm::ActiveValue::NotSet;

use self::{
    draft::draft,
    patch::{apply_patch, may_reassign},
    preview::preview,
    show::show,
};
use super::merged_clients::merged_into;
use crate::{
    Change, Client, ClientId, ClientPatch, Clients, CustomFieldTarget, DeletedKind, DeletionPreview, Error, Filter,
    NewClient, OrganizationId, Result, SqlClients, Viewed,
    core::{objects::stored_client, views::apply_view},
    custom::sql::{self as custom, TargetId},
    entity::client,
    event::{ClientCreated, ClientData, ClientDeleted},
    permission::{Permission, Scope},
};

pub(crate) const EMAIL_TAKEN: &str = "Another client has this email address.";
/// The number of a client's deals with verified payments.
const VERIFIED_DEALS: &str =
    "SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND client_id = $2 AND verified_minor > 0";

#[async_trait]
impl Clients for SqlClients {
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
        let page = self.core.page_of_clients(&access, &filter, &page).await?;
        let (rows, page) = page.split();
        let clients = self.core.show_clients(rows).await?;
        Ok(page.with_results(|_| clients))
    }

    async fn create_client(&self, caller: &Caller, org: OrganizationId, new: NewClient) -> Result<Client> {
        new.validate()?;
        let new = &new;
        let (row, fields) = self
            .core
            .db
            .write(|tx| async move {
                let pipeline = tx.pipeline();
                let read = async {
                    if !new.custom.is_empty() {
                        custom::lock_fields(&tx, org, CustomFieldTarget::Client).await?;
                    }
                    custom::fields_of(&pipeline, org, CustomFieldTarget::Client).await
                };
                let (access, fields) = self.core.access_and((&tx, &pipeline), caller, org, read).await?;
                access.may(Permission::ClientCreate)?;
                let owner = match new.owner_id {
                    Some(user) => access.successor(&tx, "owner_id", user).await?.id,
                    None => access.member.id,
                };
                if owner != access.member.id {
                    access.may_reassign_to(Permission::ClientReassign, owner)?;
                }
                let fields = fields?;
                let custom = custom::validate_new(&fields, &new.custom)?;
                let now = self.core.now();
                let row = client::Model { custom: custom.json.clone(), ..draft(&access, new, owner, now) };
                let row = db::insert(&tx, client::ActiveModel { id: NotSet, ..row.into() }).await?;
                custom.insert(&tx, org, TargetId::Client(row.id)).await?;
                self.core.record_created(&tx, (caller, &access), "deals.create_client", &row).await?;
                tx.emit(&ClientCreated { organization_id: org, client: ClientData::from(&row) }).await?;
                Ok::<_, Error>((row, fields))
            })
            .await
            .map_err(|error| error.or_duplicate(&["email"], EMAIL_TAKEN))?;
        let members = [(row.created_by, caller.user), (row.owner_id, new.owner_id.unwrap_or(caller.user))];
        Ok(show(row, &self.core.accounts_as_people(members).await?, &fields))
    }

    async fn client(&self, caller: &Caller, org: OrganizationId, id: ClientId) -> Result<Client> {
        let conn = self.core.db.conn();
        let pipeline = conn.pipeline();
        let read = stored_client(&pipeline, org, id);
        let (access, row) = self.core.access_and((conn, &pipeline), caller, org, read).await?;
        match access.visible_client(row?, id) {
            Err(Error::ClientNotFound(_)) => {
                // A merge is disclosed only to callers who may see the client that it was merged into.
                let merged_into = merged_into(conn, org, id).await?.ok_or(Error::ClientNotFound(id))?;
                access.find_client(conn, merged_into).await.map_err(|_| Error::ClientNotFound(id))?;
                Err(Error::ClientMerged(merged_into))
            }
            row => self.core.show_client(row?).await,
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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<client::Entity>(conn, id).await?;
                let path = (org, id);
                let (access, before) = self.core.access_to_client(conn, caller, path, Permission::ClientUpdate).await?;
                access.check(known, before.updated_at)?;
                let mut after = before.clone();
                apply_patch(&mut after, patch);
                if let Some(user) = patch.owner_id {
                    let successor = access.successor(conn, "owner_id", user).await?.id;
                    may_reassign(&access, &before, successor)?;
                    after.owner_id = successor;
                }
                if let Some(input) = &patch.custom {
                    custom::lock_fields(conn, org, CustomFieldTarget::Client).await?;
                    let fields = custom::fields_of(conn, org, CustomFieldTarget::Client).await?;
                    let values = custom::validate_changed(&fields, &before.custom, input)?;
                    after.custom.clone_from(&values.json);
                    values.replace(conn, org, TargetId::Client(id)).await?;
                }
                self.core.store_client(conn, (caller, &access), &before, after, "deals.change_client").await
            })
            .await
            .map_err(|error| error.or_duplicate(&["email"], EMAIL_TAKEN))?;
        self.core.show_client(row).await
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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<client::Entity>(conn, id).await?;
                let path = (org, id);
                let (access, before) = self.core.access_to_client(conn, caller, path, Permission::ClientUpdate).await?;
                let mut after = before.clone();
                if archive == before.archived_at.is_some() {
                    return Ok(after);
                }
                after.archived_at = archive.then(|| self.core.now());
                self.core.store_client(conn, (caller, &access), &before, after, "deals.archive_client").await
            })
            .await?;
        self.core.show_client(row).await
    }

    async fn preview_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        purge: bool,
    ) -> Result<DeletionPreview> {
        let conn = self.core.db.conn();
        let (access, row) = self.core.access_to_client(conn, caller, (org, id), Permission::ClientDelete).await?;
        preview(conn, &access, &row, purge).await
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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<client::Entity>(conn, id).await?;
                let path = (org, id);
                let (access, row) = self.core.access_to_client(conn, caller, path, Permission::ClientDelete).await?;
                if purge {
                    access.may(Permission::TrashPurge)?;
                }
                access.check(known, row.updated_at)?;
                access.may_with_deals_of(conn, id, Permission::DealDelete).await?;
                let verified = [org.into(), id.into()];
                if access.grants.scope(Permission::ClientDelete) == Some(Scope::Own)
                    && db::scalar::<i64>(conn, VERIFIED_DEALS, verified).await?.unwrap_or_default() > 0
                {
                    return Err(Error::NotGranted("client.delete"));
                }
                if let Some(token) = token
                    && preview(conn, &access, &row, purge).await?.token != *token
                {
                    return Err(Error::PreviewStale);
                }
                let deletion = self.core.create_deletion(conn, &access, DeletedKind::Client, &row.name).await?;
                self.core.trash_client(conn, &access, id, deletion).await?;
                let actor = (caller, &access);
                let detail = vec![("name", row.name.clone().into()), ("purge", purge.into())];
                self.core.record(conn, actor, "deals.delete_client", ("client", id.0), detail).await?;
                if purge {
                    self.core.purge_deletion(conn, actor, deletion).await?;
                }
                tx.emit(&ClientDeleted { organization_id: org, id, name: row.name, purge }).await?;
                Ok(())
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
        let (access, _) = self.core.access_to_client(conn, caller, (org, id), Permission::ClientRead).await?;
        self.core.changes_of(conn, &access, "client", id.0, &cursor).await
    }
}
