//! Imports. The whole table is checked before anything is stored. It is stored in chunks, so that others can write in
//! between. The rows of an import that fails are deleted again.

mod check;
mod clients;
mod deals;
mod owners;
mod progress;
mod revert;
mod row;
mod run;
mod show;

use std::time::Duration;

use async_trait::async_trait;
use guildhall_kernel::{
    Caller, Error as KernelError, GateLimits, Kind, Ordering, Page, PageQuery, background,
    idempotency::{IdempotencyKey, Idempotent},
};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ConnectionTrait, EntityTrait, Set};

use self::{
    revert::NOT_DONE,
    run::run_detached,
    show::{table_of_errors, visible_imports},
};
use crate::{
    Error, Import, ImportError, ImportId, ImportKind, ImportMode, ImportStatus, Imports, NewImport, OrganizationId,
    Result, SqlExchange, Table, core::access::Access, entity::import, exchange::table, permission::Permission,
};

/// How many rows are stored in one transaction.
const CHUNK: usize = 500;
/// One table at a time: parsing it takes up to 300 MiB and one core.
pub(super) const TABLES: GateLimits =
    GateLimits { at_once: 1, queue: 8, per_person: 2, patience: Duration::from_secs(15) };

impl SqlExchange {
    /// The import that was started with this key, unless it failed.
    async fn started_with(
        &self,
        conn: &impl ConnectionTrait,
        (caller, access): (&Caller, &Access),
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<import::Model>> {
        let Some(key) = key else { return Ok(None) };
        let scope = access.scope();
        let Some(response) = key.replay(conn, &scope, caller, self.core.now()).await? else { return Ok(None) };
        let id = response["id"].as_i64().map(ImportId).ok_or(Error::NotFound("import"))?;
        match import::Entity::find_by_id(id).one(conn).await? {
            Some(row) if row.status == ImportStatus::Running => {
                let detail = "A request with this Idempotency-Key is in progress.";
                Err(KernelError::new(Kind::Conflict, "idempotency_in_progress", detail).into())
            }
            Some(row) if row.status != ImportStatus::Failed => Ok(Some(row)),
            _ => {
                key.forget(conn, &scope, caller).await?;
                Ok(None)
            }
        }
    }

    /// The response to a repeated request.
    async fn replay(&self, access: &Access, row: import::Model) -> Result<Idempotent<Import>> {
        let response = serde_json::to_value(self.show_import(access, row).await?).map_err(KernelError::internal)?;
        Ok(Idempotent::Replayed(response))
    }
}

#[async_trait]
impl Imports for SqlExchange {
    async fn import(
        &self,
        caller: &Caller,
        org: OrganizationId,
        new: NewImport,
        key: Option<IdempotencyKey>,
    ) -> Result<Idempotent<Import>> {
        let access = &self.core.authorize(self.core.db.conn(), caller, org, Permission::ImportRun).await?;
        let context = (caller, access);
        let key = key.as_ref();
        // A repeated request is recognised before the expensive check.
        if let Some(row) = self.core.db.write(|tx| async move { self.started_with(&tx, context, key).await }).await? {
            return self.replay(access, row).await;
        }
        self.core.host.files.check_room()?;
        self.core.host.files.count_upload(caller.user, new.bytes.len()).await?;
        let permit = self.tables.enter(Some(caller.user)).await?;
        let checking = {
            let (this, access, new) = (self.clone(), access.clone(), new.clone());
            async move {
                let sheet = table::read(&new)?;
                let checked = this.check(&access, &new, &sheet).await?;
                // The permit moves with the work, which goes on if the client disconnects.
                Ok::<_, Error>((checked, sheet.rows.len() as u64, permit))
            }
        };
        let (checked, total, permit) = background::run_blocking(checking).await??;
        let refused = checked.failed > 0 && new.mode == ImportMode::Atomic;
        let status = match (new.dry_run, refused) {
            (true, _) => ImportStatus::Checked,
            (false, true) => ImportStatus::Refused,
            (false, false) => ImportStatus::Running,
        };
        let now = self.core.now();
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let row = &import::ActiveModel {
            id: NotSet,
            org_id: Set(org),
            kind: Set(new.kind),
            file_name: Set(new.file_name.clone()),
            status: Set(status),
            total: Set(count(total)),
            created: Set(0),
            updated: Set(0),
            skipped: Set(count(checked.skipped)),
            failed: Set(count(checked.failed)),
            kept: Set(0),
            errors: Set(serde_json::to_string(&checked.errors).map_err(KernelError::internal)?),
            created_by: Set(access.member.id),
            created_at: Set(now),
            updated_at: Set(now),
        };
        let (row, is_new) = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                // The same request may have been sent again during the check.
                if let Some(row) = self.started_with(conn, context, key).await? {
                    return Ok((row, false));
                }
                let row = row.clone().insert(conn).await?;
                if let Some(key) = key {
                    let response = serde_json::json!({ "id": row.id });
                    key.store(conn, &access.scope(), caller, &response, self.core.now()).await?;
                }
                Ok::<_, Error>((row, true))
            })
            .await?;
        if !is_new {
            return self.replay(access, row).await;
        }
        if row.status == ImportStatus::Running {
            run_detached(self.clone().run_import(*caller, row.clone(), checked.rows, permit)).await?;
        }
        let row = self.import_row(access, row.id).await?;
        Ok(Idempotent::Created(self.show_import(access, row).await?))
    }

    async fn imports(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Import>> {
        let conn = self.core.db.conn();
        let access = self.core.authorize(conn, caller, org, Permission::ImportRun).await?;
        let select = visible_imports(&access);
        let ordering = Ordering { fields: &[("id", import::Column::Id)], default: "-id", id: import::Column::Id };
        let page = Page::<import::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.split();
        let shown = self.show_imports(rows).await?;
        Ok(page.with_results(|_| shown))
    }

    async fn find_import(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Import> {
        let access = self.core.authorize(self.core.db.conn(), caller, org, Permission::ImportRun).await?;
        self.show_import(&access, self.import_row(&access, id).await?).await
    }

    async fn import_errors(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Table> {
        let access = self.core.authorize(self.core.db.conn(), caller, org, Permission::ImportRun).await?;
        let row = self.import_row(&access, id).await?;
        Ok(table_of_errors(&serde_json::from_str::<Vec<ImportError>>(&row.errors).unwrap_or_default()))
    }

    async fn revert_import(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Import> {
        let access = self.core.authorize(self.core.db.conn(), caller, org, Permission::ImportRun).await?;
        let row = self.import_row(&access, id).await?;
        if row.created_by != access.member.id {
            let permission = match row.kind {
                ImportKind::Clients => Permission::ClientDelete,
                ImportKind::Deals => Permission::DealDelete,
            };
            access.may_with(permission, row.created_by, row.created_by)?;
        }
        if row.status != ImportStatus::Done {
            return Err(Error::IllegalTransition(NOT_DONE));
        }
        run_detached(self.clone().revert(*caller, row)).await?;
        self.show_import(&access, self.import_row(&access, id).await?).await
    }
}
