//! The trash. What one operation deleted is restored as a whole, and nothing else with it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Set,
    Statement,
};

use crate::{
    ClientId, DeletedKind, Deletion, DeletionId, DeletionPreview, Error, Link, Node, OrganizationId, Result, SqlSales,
    Trash,
    core::{access::Access, audit, execute, lock, scalar_i64, to_u64},
    entity::{client, deletion},
    event::TrashRestored,
    permission::Permission,
};

impl SqlSales {
    /// Creates a deletion, to which deleted rows refer.
    pub(crate) async fn create_deletion(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        kind: DeletedKind,
        label: &str,
    ) -> Result<DeletionId> {
        let row = deletion::ActiveModel {
            id: NotSet,
            org_id: Set(access.org.id),
            kind: Set(kind),
            label: Set(label.to_owned()),
            deleted_by: Set(Some(access.member.id)),
            deleted_at: Set(self.core.now()),
        };
        Ok(row.insert(conn).await?.id)
    }

    /// Moves a client to the trash, with its deals and contacts that are not there yet.
    pub(crate) async fn trash_client(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        id: ClientId,
        deletion: DeletionId,
    ) -> Result<()> {
        for (table, column) in [("deals_deal", "client_id"), ("deals_contact", "client_id"), ("deals_client", "id")] {
            let sql = format!(
                "UPDATE {table} SET deleted_at = $1, deletion_id = $2, updated_at = $1 \
                 WHERE org_id = $3 AND {column} = $4 AND deleted_at IS NULL"
            );
            execute(conn, sql, [self.core.now().into(), deletion.into(), access.org.id.into(), id.into()]).await?;
        }
        Ok(())
    }

    /// Permanently removes what a deletion moved to the trash. With a client this includes its deals and contacts that
    /// were deleted earlier.
    pub(crate) async fn purge_deletion(
        &self,
        conn: &impl ConnectionTrait,
        (caller, access): (&Caller, &Access),
        id: DeletionId,
    ) -> Result<()> {
        let org = access.org.id;
        let ids = |table: &str| {
            format!(
                "SELECT id FROM {table} WHERE org_id = $1 AND deletion_id = $2 \
                 UNION SELECT t.id FROM {table} t JOIN deals_client c ON c.org_id = t.org_id AND c.id = t.client_id \
                 WHERE c.org_id = $1 AND c.deletion_id = $2"
            )
        };
        let (deals, contacts) = (ids("deals_deal"), ids("deals_contact"));
        let steps = [
            format!("DELETE FROM deals_payment WHERE org_id = $1 AND of_id IS NOT NULL AND deal_id IN ({deals})"),
            format!("DELETE FROM deals_payment WHERE org_id = $1 AND deal_id IN ({deals})"),
            format!("DELETE FROM deals_deal WHERE org_id = $1 AND id IN ({deals})"),
            format!(
                "UPDATE deals_deal SET contact_id = NULL, updated_at = {} WHERE org_id = $1 AND contact_id IN ({contacts})",
                self.core.now().unix_micros()
            ),
            format!("DELETE FROM deals_contact WHERE org_id = $1 AND id IN ({contacts})"),
            "DELETE FROM deals_client WHERE org_id = $1 AND deletion_id = $2".to_owned(),
        ];
        let mut counts = Vec::new();
        for sql in steps {
            counts.push(execute(conn, sql, [org.into(), id.into()]).await?);
        }
        // Removes all deletions to which no row refers any more, including this one.
        let sql = "DELETE FROM deals_deletion WHERE org_id = $1 \
             AND NOT EXISTS (SELECT 1 FROM deals_client c WHERE c.org_id = $1 AND c.deletion_id = deals_deletion.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_contact c WHERE c.org_id = $1 AND c.deletion_id = deals_deletion.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_deal d WHERE d.org_id = $1 AND d.deletion_id = deals_deletion.id)";
        execute(conn, sql, [org.into()]).await?;
        let detail = vec![
            ("payments", (counts[0] + counts[1]).into()),
            ("deals", counts[2].into()),
            ("contacts", counts[4].into()),
            ("clients", counts[5].into()),
        ];
        self.core.record(conn, (caller, access), "deals.purge", ("deletion", id.0), detail).await
    }

    /// Previews what deleting a client removes. With `purge` this includes what is already in the trash.
    pub(crate) async fn preview(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        row: &client::Model,
        purge: bool,
    ) -> Result<DeletionPreview> {
        let (org, id) = (access.org.id, row.id);
        let only_live = if purge { "" } else { " AND deleted_at IS NULL" };
        let deals = format!("(SELECT id FROM deals_deal WHERE org_id = $1 AND client_id = $2{only_live})");
        let (of_client, of_deals) = (format!("client_id = $2{only_live}"), format!("deal_id IN {deals}"));
        let of_client_and_deals = format!("client_id = $2 AND (deal_id IS NULL OR {of_deals})");
        let of_client_or_deals = format!("(client_id = $2 OR {of_deals})");
        let relations = [
            ("client", "contact", &of_client),
            ("client", "deal", &of_client),
            ("deal", "payment", &of_deals),
            ("payment", "commission", &of_deals),
            ("deal", "line", &of_deals),
            ("deal", "file", &of_deals),
            ("deal", "stage_change", &of_deals),
            ("client", "activity", &of_client_and_deals),
            ("client", "task", &of_client_and_deals),
            ("client", "custom_value", &of_client_or_deals),
        ];
        let counts = relations.map(|(_, model, condition)| {
            format!("(SELECT COUNT(*) FROM deals_{model} WHERE org_id = $1 AND {condition})")
        });
        let newest = format!(
            "(SELECT MAX(at) FROM (SELECT updated_at AS at FROM deals_client WHERE org_id = $1 AND id = $2 \
             UNION ALL SELECT MAX(updated_at) FROM deals_deal WHERE org_id = $1 AND client_id = $2 \
             UNION ALL SELECT MAX(updated_at) FROM deals_contact WHERE org_id = $1 AND client_id = $2 \
             UNION ALL SELECT MAX(updated_at) FROM deals_payment WHERE org_id = $1 AND {of_deals}) newest)"
        );
        let sql = format!("SELECT {newest}, {}", counts.join(", "));
        let statement = Statement::from_sql_and_values(self.core.db.backend(), sql, [org.into(), id.into()]);
        let result = conn.query_one_raw(statement).await?.ok_or(Error::ClientNotFound(id))?;
        // The token changes with the time of the last change and with each count.
        let mut token = format!("{}{:x}", if purge { "p" } else { "" }, result.try_get_by_index::<i64>(0)?);
        let (mut will_delete, mut graph) = (BTreeMap::from([("client", 1)]), Vec::new());
        for (index, (from, to, _)) in (1..).zip(relations) {
            let count = to_u64(result.try_get_by_index(index)?);
            token = format!("{token}-{count:x}");
            if count > 0 || ["contact", "deal", "payment"].contains(&to) {
                will_delete.insert(to, count);
                let via = match from {
                    "client" => "client_id",
                    "payment" => "payment_id",
                    _ => "deal_id",
                };
                graph.push(Link { from, to, via, count });
            }
        }
        let object = audit::object(access, "client", id.0);
        let sql = "SELECT COUNT(*) FROM kernel_audit_event WHERE object = $1";
        let audit_events = to_u64(scalar_i64(conn, sql, [object.into()]).await?);
        Ok(DeletionPreview {
            root: Node { model: "client", id: id.0, label: row.name.clone() },
            will_delete,
            will_keep: BTreeMap::from([("audit", audit_events)]),
            blockers: Vec::new(),
            graph,
            token,
        })
    }

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
        let (rows, page) = page.take();
        let deletions = self.show_deletions(rows).await?;
        Ok(page.with(|_| deletions))
    }

    async fn restore(&self, caller: &Caller, org: OrganizationId, id: DeletionId) -> Result<Deletion> {
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                lock::<deletion::Entity>(conn, id).await?;
                let access = self.core.access(conn, caller, org).await?;
                let row = self.deletion_for(conn, &access, id).await?;
                // Locks the clients of the restored rows, so that they are not deleted meanwhile.
                let clients = "SELECT client_id FROM deals_deal WHERE org_id = $1 AND deletion_id = $2 \
                     UNION SELECT client_id FROM deals_contact WHERE org_id = $1 AND deletion_id = $2";
                let lock = if self.core.db.backend() == DbBackend::Postgres { "FOR NO KEY UPDATE" } else { "" };
                let sql = format!("SELECT deleted_at FROM deals_client WHERE org_id = $1 AND id IN ({clients}) {lock}");
                let statement = Statement::from_sql_and_values(self.core.db.backend(), sql, [org.into(), id.into()]);
                for client in conn.query_all_raw(statement).await? {
                    let is_deleted = client.try_get_by_index::<Option<i64>>(0)?.is_some();
                    if is_deleted && row.kind != DeletedKind::Client {
                        return Err(Error::IllegalTransition("The client is in the trash. Restore it first."));
                    }
                }
                for table in ["deals_client", "deals_contact", "deals_deal"] {
                    let sql = format!(
                        "UPDATE {table} SET deleted_at = NULL, deletion_id = NULL, updated_at = $3 \
                         WHERE org_id = $1 AND deletion_id = $2"
                    );
                    execute(conn, sql, [org.into(), id.into(), self.core.now().into()]).await?;
                }
                deletion::Entity::delete_by_id(id).exec(conn).await?;
                let restored = TrashRestored { organization_id: org, id, label: row.label.clone(), kind: row.kind };
                tx.emit(&restored).await?;
                let detail = vec![("label", row.label.clone().into()), ("kind", serde_json::json!(row.kind))];
                self.core.record(conn, (caller, &access), "deals.restore", ("deletion", id.0), detail).await?;
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
            .write(|tx| async move {
                let conn = &tx;
                lock::<deletion::Entity>(conn, id).await?;
                let access = self.core.authorize(conn, caller, org, Permission::TrashPurge).await?;
                self.deletion_for(conn, &access, id).await?;
                self.purge_deletion(conn, (caller, &access), id).await
            })
            .await
    }
}
