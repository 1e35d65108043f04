//! The trash. What one operation deleted is restored as a whole, and nothing else with it.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery, db};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{LockType, UnionType},
};

use crate::{
    DeletedKind, Deletion, DeletionId, Error, OrganizationId, Result, SqlSales, Trash,
    core::access::Access,
    entity::{client, contact, deal, deletion},
    event::TrashRestored,
    permission::Permission,
};

/// Restores what a deletion moved to the trash.
const RESTORE: [&str; 3] = [
    "UPDATE deals_client SET deleted_at = NULL, deletion_id = NULL, updated_at = $3 \
     WHERE org_id = $1 AND deletion_id = $2",
    "UPDATE deals_contact SET deleted_at = NULL, deletion_id = NULL, updated_at = $3 \
     WHERE org_id = $1 AND deletion_id = $2",
    "UPDATE deals_deal SET deleted_at = NULL, deletion_id = NULL, updated_at = $3 \
     WHERE org_id = $1 AND deletion_id = $2",
];

/// The clients of the deals and contacts that a deletion moved to the trash.
fn clients_of(org: OrganizationId, id: DeletionId) -> Select<client::Entity> {
    let mut clients = deal::Entity::find()
        .select_only()
        .column(deal::Column::ClientId)
        .filter(deal::COLUMN.org_id.eq(org))
        .filter(deal::COLUMN.deletion_id.eq(id))
        .into_query();
    let of_contacts = contact::Entity::find()
        .select_only()
        .column(contact::Column::ClientId)
        .filter(contact::COLUMN.org_id.eq(org))
        .filter(contact::COLUMN.deletion_id.eq(id));
    clients.union(UnionType::Distinct, of_contacts.into_query());
    client::Entity::find()
        .filter(client::COLUMN.org_id.eq(org))
        .filter(client::Column::Id.in_subquery(clients))
        .order_by_asc(client::Column::Id)
}

impl SqlSales {
    /// A deletion that the caller may restore.
    async fn deletion_for(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        id: DeletionId,
    ) -> Result<deletion::Model> {
        let found = deletion::Entity::find_by_id(id).filter(deletion::COLUMN.org_id.eq(access.org.id));
        let found = found.one(conn).await?.ok_or(Error::NotFound("deletion"))?;
        if access.may(Permission::TrashRestore).is_err() {
            // Members may restore what they deleted themselves, as long as they may still delete it.
            if found.deleted_by != Some(access.member.id) {
                return Err(Error::NotFound("deletion"));
            }
            access.may(match found.kind {
                DeletedKind::Client => Permission::ClientDelete,
                DeletedKind::Contact => Permission::ClientUpdate,
                DeletedKind::Deal => Permission::DealDelete,
            })?;
        }
        Ok(found)
    }

    async fn show_deletions(&self, rows: Vec<deletion::Model>) -> Result<Vec<Deletion>> {
        let people =
            self.core.members_as_people(self.core.db.conn(), rows.iter().filter_map(|row| row.deleted_by)).await?;
        let show = |row: deletion::Model| Deletion {
            id: row.id,
            kind: row.kind,
            label: row.label,
            deleted_by: row.deleted_by.and_then(|member| people.get(member)),
            deleted_at: row.deleted_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }
}

#[async_trait]
impl Trash for SqlSales {
    async fn trash(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Deletion>> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        let mut select = deletion::Entity::find().filter(deletion::COLUMN.org_id.eq(access.org.id));
        if access.may(Permission::TrashRestore).is_err() {
            select = select.filter(deletion::COLUMN.deleted_by.eq(access.member.id));
        }
        let ordering = Ordering { fields: &[("id", deletion::Column::Id)], default: "-id", id: deletion::Column::Id };
        let page = Page::<deletion::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.split();
        let deletions = self.show_deletions(rows).await?;
        Ok(page.with_results(|_| deletions))
    }

    async fn restore(&self, caller: &Caller, org: OrganizationId, id: DeletionId) -> Result<Deletion> {
        let row = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<deletion::Entity>(conn, id).await?;
                let access = self.core.access(conn, caller, org).await?;
                let row = self.deletion_for(conn, &access, id).await?;
                // Locks the clients of the restored rows, so that they are not deleted meanwhile.
                let clients = clients_of(org, id);
                db::lock_rows(conn, || clients.clone(), LockType::NoKeyUpdate).await?;
                if row.kind != DeletedKind::Client {
                    let trashed = clients.filter(client::COLUMN.deleted_at.is_not_null());
                    if trashed.one(conn).await?.is_some() {
                        return Err(Error::IllegalTransition("The client is in the trash. Restore it first."));
                    }
                }
                for sql in RESTORE {
                    db::execute(conn, sql, [org.into(), id.into(), self.core.now().into()]).await?;
                }
                deletion::Entity::delete_by_id(id).exec(conn).await?;
                let restored = TrashRestored { organization_id: org, id, label: row.label.clone(), kind: row.kind };
                let detail = vec![("label", row.label.clone().into()), ("kind", serde_json::json!(row.kind))];
                self.core.record(conn, (caller, &access), "deals.restore", ("deletion", id.0), detail).await?;
                tx.emit(&restored).await?;
                Ok::<_, Error>(row)
            })
            .await
            .map_err(|error| {
                let detail = "Its email address is now used by another client, or another contact is primary now.";
                error.or_duplicate(&["email", "primary"], detail)
            })?;
        self.show_deletions(vec![row]).await?.pop().ok_or(Error::NotFound("deletion"))
    }

    async fn purge(&self, caller: &Caller, org: OrganizationId, id: DeletionId) -> Result<()> {
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<deletion::Entity>(conn, id).await?;
                let access = self.core.authorize(conn, caller, org, Permission::TrashPurge).await?;
                self.deletion_for(conn, &access, id).await?;
                self.core.purge_deletion(conn, (caller, &access), id).await
            })
            .await
    }
}
