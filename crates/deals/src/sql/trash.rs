//! The trash: what was deleted in one act comes back in one, and nothing else does.

use std::collections::BTreeMap;

use async_trait::async_trait;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Set,
    Statement,
};

use super::{SqlDeals, access::Access, lock, many, number, run};
use crate::{
    ClientId, DeletedKind, Deletion, DeletionId, DeletionPreview, Error, Link, Node, OrganizationId, Result, Trash,
    entity::{client, deletion},
    permission::Permission,
};

impl SqlDeals {
    /// Begins an act that puts something into the trash.
    pub(super) async fn open_deletion(
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
            deleted_at: Set(self.now()),
        };
        Ok(row.insert(conn).await?.id)
    }

    /// Puts a client into the trash, with what hangs on it and is not there yet.
    pub(super) async fn trash_client(
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
            run(conn, sql, [self.now().into(), deletion.into(), access.org.id.into(), id.into()]).await?;
        }
        Ok(())
    }

    /// Removes for good what went into the trash in one act, and whatever of a client went there before it.
    pub(super) async fn purge_deletion(
        &self,
        conn: &impl ConnectionTrait,
        (caller, access): (&Caller, &Access),
        id: DeletionId,
    ) -> Result<()> {
        let org = access.org.id;
        let of = |table: &str| {
            format!(
                "SELECT id FROM {table} WHERE org_id = $1 AND deletion_id = $2 \
                 UNION SELECT t.id FROM {table} t JOIN deals_client c ON c.org_id = t.org_id AND c.id = t.client_id \
                 WHERE c.org_id = $1 AND c.deletion_id = $2"
            )
        };
        let (deals, contacts) = (of("deals_deal"), of("deals_contact"));
        let steps = [
            format!("DELETE FROM deals_payment WHERE org_id = $1 AND of_id IS NOT NULL AND deal_id IN ({deals})"),
            format!("DELETE FROM deals_payment WHERE org_id = $1 AND deal_id IN ({deals})"),
            format!("DELETE FROM deals_deal WHERE org_id = $1 AND id IN ({deals})"),
            format!(
                "UPDATE deals_deal SET contact_id = NULL, updated_at = {} WHERE org_id = $1 AND contact_id IN ({contacts})",
                self.now().unix_micros()
            ),
            format!("DELETE FROM deals_contact WHERE org_id = $1 AND id IN ({contacts})"),
            "DELETE FROM deals_client WHERE org_id = $1 AND deletion_id = $2".to_owned(),
        ];
        let mut counts = Vec::new();
        for sql in steps {
            counts.push(run(conn, sql, [org.into(), id.into()]).await?);
        }
        // Acts of which nothing is left, this one among them.
        let empty = "DELETE FROM deals_deletion WHERE org_id = $1 \
             AND NOT EXISTS (SELECT 1 FROM deals_client c WHERE c.org_id = $1 AND c.deletion_id = deals_deletion.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_contact c WHERE c.org_id = $1 AND c.deletion_id = deals_deletion.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_deal d WHERE d.org_id = $1 AND d.deletion_id = deals_deletion.id)";
        run(conn, empty, [org.into()]).await?;
        let detail = vec![
            ("payments", (counts[0] + counts[1]).into()),
            ("deals", counts[2].into()),
            ("contacts", counts[4].into()),
            ("clients", counts[5].into()),
        ];
        self.noted(conn, (caller, access), "deals.purge", ("deletion", id.0), detail).await
    }

    /// What would go with a client, as it is now: into the trash, or for good with what lies there already.
    pub(super) async fn preview(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        row: &client::Model,
        purge: bool,
    ) -> Result<DeletionPreview> {
        let (org, id) = (access.org.id, row.id);
        let live = if purge { "" } else { " AND deleted_at IS NULL" };
        let deals = format!("(SELECT id FROM deals_deal WHERE org_id = $1 AND client_id = $2{live})");
        let (of_client, of_deals) = (format!("client_id = $2{live}"), format!("deal_id IN {deals}"));
        let about = format!("client_id = $2 AND (deal_id IS NULL OR {of_deals})");
        let said = format!("(client_id = $2 OR {of_deals})");
        let parts = [
            ("client", "contact", &of_client),
            ("client", "deal", &of_client),
            ("deal", "payment", &of_deals),
            ("payment", "commission", &of_deals),
            ("deal", "line", &of_deals),
            ("deal", "file", &of_deals),
            ("deal", "stage_change", &of_deals),
            ("client", "activity", &about),
            ("client", "task", &about),
            ("client", "custom_value", &said),
        ];
        let counts = parts
            .map(|(_, model, which)| format!("(SELECT COUNT(*) FROM deals_{model} WHERE org_id = $1 AND {which})"));
        let newest = format!(
            "(SELECT MAX(at) FROM (SELECT updated_at AS at FROM deals_client WHERE org_id = $1 AND id = $2 \
             UNION ALL SELECT MAX(updated_at) FROM deals_deal WHERE org_id = $1 AND client_id = $2 \
             UNION ALL SELECT MAX(updated_at) FROM deals_contact WHERE org_id = $1 AND client_id = $2 \
             UNION ALL SELECT MAX(updated_at) FROM deals_payment WHERE org_id = $1 AND {of_deals}) newest)"
        );
        let sql = format!("SELECT {newest}, {}", counts.join(", "));
        let found = Statement::from_sql_and_values(self.db.backend(), sql, [org.into(), id.into()]);
        let found = conn.query_one_raw(found).await?.ok_or(Error::ClientNotFound(id))?;
        let mut token = format!("{}{:x}", if purge { "p" } else { "" }, found.try_get_by_index::<i64>(0)?);
        let (mut will_delete, mut graph) = (BTreeMap::from([("client", 1)]), Vec::new());
        for (at, (from, to, _)) in (1..).zip(parts) {
            let count = many(found.try_get_by_index(at)?);
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
        let object = super::changes::object(access, "client", id.0);
        let sql = "SELECT COUNT(*) FROM kernel_audit_event WHERE object = $1";
        let kept = many(number(conn, sql, [object.into()]).await?);
        Ok(DeletionPreview {
            root: Node { model: "client", id: id.0, label: row.name.clone() },
            will_delete,
            will_keep: BTreeMap::from([("audit", kept)]),
            blockers: Vec::new(),
            graph,
            token,
        })
    }

    /// What went into the trash in one act, if the caller may bring it back.
    async fn deletion_for(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        id: DeletionId,
    ) -> Result<deletion::Model> {
        let found = deletion::Entity::find_by_id(id).filter(deletion::COLUMN.org_id.eq(access.org.id));
        let found = found.one(conn).await?.ok_or(Error::NotFound("deletion"))?;
        if access.may(Permission::TrashRestore).is_err() {
            // What one has thrown away oneself one may take out again, as long as one might throw it away.
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
        let people = self.members_as_people(self.db.conn(), rows.iter().filter_map(|row| row.deleted_by)).await?;
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
impl Trash for SqlDeals {
    async fn trash(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Deletion>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let mut select = deletion::Entity::find().filter(deletion::COLUMN.org_id.eq(access.org.id));
        if access.may(Permission::TrashRestore).is_err() {
            select = select.filter(deletion::COLUMN.deleted_by.eq(access.member.id));
        }
        let ordering = Ordering { fields: &[("id", deletion::Column::Id)], usual: "-id", id: deletion::Column::Id };
        let page = Page::<deletion::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.take();
        let shown = self.show_deletions(rows).await?;
        Ok(page.with(|_| shown))
    }

    async fn restore(&self, caller: &Caller, org: OrganizationId, id: DeletionId) -> Result<Deletion> {
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                lock::<deletion::Entity>(conn, id).await?;
                let access = self.enter(conn, caller, org).await?;
                let row = self.deletion_for(conn, &access, id).await?;
                // Nobody puts their clients into the trash meanwhile.
                let theirs = "SELECT client_id FROM deals_deal WHERE org_id = $1 AND deletion_id = $2 \
                     UNION SELECT client_id FROM deals_contact WHERE org_id = $1 AND deletion_id = $2";
                let lock = if self.db.backend() == DbBackend::Postgres { "FOR NO KEY UPDATE" } else { "" };
                let sql = format!("SELECT deleted_at FROM deals_client WHERE org_id = $1 AND id IN ({theirs}) {lock}");
                let found = Statement::from_sql_and_values(self.db.backend(), sql, [org.into(), id.into()]);
                for client in conn.query_all_raw(found).await? {
                    let gone = client.try_get_by_index::<Option<i64>>(0)?.is_some();
                    if gone && row.kind != DeletedKind::Client {
                        return Err(Error::IllegalTransition("Its client is in the trash: bring that back first."));
                    }
                }
                for table in ["deals_client", "deals_contact", "deals_deal"] {
                    let sql = format!(
                        "UPDATE {table} SET deleted_at = NULL, deletion_id = NULL, updated_at = $3 \
                         WHERE org_id = $1 AND deletion_id = $2"
                    );
                    run(conn, sql, [org.into(), id.into(), self.now().into()]).await?;
                }
                deletion::Entity::delete_by_id(id).exec(conn).await?;
                let detail = vec![("label", row.label.clone().into()), ("kind", serde_json::json!(row.kind))];
                self.noted(conn, (caller, &access), "deals.restore", ("deletion", id.0), detail).await?;
                Ok::<_, Error>(row)
            })
            .await
            .map_err(|error| {
                let taken = "Another has taken its e-mail address or its place meanwhile.";
                error.or_duplicate(&["email", "primary"], taken)
            })?;
        self.show_deletions(vec![row]).await?.pop().ok_or(Error::NotFound("deletion"))
    }

    async fn purge(&self, caller: &Caller, org: OrganizationId, id: DeletionId) -> Result<()> {
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<deletion::Entity>(conn, id).await?;
            let access = self.enter_to(conn, caller, org, Permission::TrashPurge).await?;
            self.deletion_for(conn, &access, id).await?;
            self.purge_deletion(conn, (caller, &access), id).await
        })
        .await
    }
}
