//! Imports. The whole table is checked before anything is stored. It is stored in chunks, so that others can write in
//! between. The rows of an import that fails are deleted again.

mod check;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use async_trait::async_trait;
use guildhall_kernel::{
    Caller, Error as KernelError, GateLimits, Kind, Ordering, Origin, Page, PageQuery, Timestamp, audit, background,
    db::Tx,
    gate::Permit,
    idempotency::{IdempotencyKey, Idempotent},
    text,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Set,
    sea_query::{Expr, LockType},
};
use tracing::Instrument;

use self::check::{ClientRow, DealRow, Rows};
use crate::{
    ClientId, DealId, Error, Import, ImportError, ImportId, ImportKind, ImportMode, ImportStatus, Imports, MemberId,
    NewClient, NewImport, Node, OrganizationId, Result, SqlExchange, StageId, Table,
    core::{access::Access, execute, lock, lock_as, scalar_i64, scalars_i64, store, to_u64},
    custom::sql::TargetId,
    entity::{client, custom_value, deal, import, stage_change},
    event::{self, ImportFinished, ImportReverted},
    exchange::{sql::exports::table_of_errors, table::csv},
    permission::Permission,
    rank,
    sales::sql::{clients::derive, deals::search_text},
};

/// How many rows are stored in one transaction.
const CHUNK: usize = 500;
/// How many errors or kept rows a response has at most.
const MAX_SHOWN: usize = 100;
/// An import without progress for this long has lost its process: a chunk takes a second at most.
const STALLED: Duration = Duration::from_secs(60);
/// How long a request waits for its import, which then goes on in the background.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// One table at a time: parsing it takes up to 300 MiB and one core.
pub(crate) const TABLES: GateLimits =
    GateLimits { at_once: 1, queue: 8, per_person: 2, patience: Duration::from_secs(15) };

impl SqlExchange {
    /// Stores a chunk of deals and the clients that do not exist yet.
    async fn store_deals(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        import: ImportId,
        rows: &[DealRow],
    ) -> Result<u64> {
        let org = &access.org;
        access.may(Permission::DealCreate)?;
        let now = self.core.now();
        let mut keys: BTreeMap<String, &str> = BTreeMap::new();
        for row in rows {
            // A new client has the spelling of its first row.
            keys.entry(text::fold(&row.client)).or_insert(&row.client);
        }
        let known = access.clients().filter(client::COLUMN.name_key.is_in(keys.keys().cloned()));
        lock_as(conn, known.clone().order_by_asc(client::Column::Id), LockType::NoKeyUpdate).await?;
        let mut clients: HashMap<String, client::Model> = HashMap::new();
        for row in known.all(conn).await? {
            // Another client of this name may have been created since the check.
            if clients.insert(row.name_key.clone(), row).is_some() {
                return Err(Error::field("client", check::AMBIGUOUS));
            }
        }
        for (key, name) in keys {
            if clients.contains_key(&key) {
                continue;
            }
            access.may(Permission::ClientCreate)?;
            let new = NewClient { name: name.to_owned(), ..NewClient::default() };
            let row = new_client(access, &new, access.member.id, import, now);
            let row = client::ActiveModel { id: NotSet, ..row.into() }.reset_all().insert(conn).await?;
            clients.insert(key, row);
        }
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let sql = "UPDATE deals_counter SET next = next + $3 WHERE org_id = $1 AND kind = 'deal' RETURNING next - $3";
        let first = scalar_i64(conn, sql, [org.id.into(), "deal".into(), count.into()]).await?;
        let pad = usize::try_from(org.number_pad).unwrap_or(4);
        let mut models = Vec::new();
        let mut stages = HashMap::new();
        let mut custom_values = HashMap::new();
        for (number, row) in (first..).zip(rows) {
            custom_values.insert(number, &row.custom);
            let client = clients.get(&text::fold(&row.client)).ok_or(Error::NotFound("client"))?;
            let code = format!("{}{number:0pad$}", org.number_prefix);
            stages.insert(number, row.stage.as_str());
            let model = deal::Model {
                number,
                client_id: client.id,
                position: rank::last(now, number),
                search_text: search_text(&row.deal.title, &code, client),
                code,
                stage_entered_at: now,
                created_at: now,
                updated_at: now,
                import_id: Some(import),
                ..row.deal.clone()
            };
            models.push(deal::ActiveModel { id: NotSet, ..model.into() }.reset_all());
        }
        deal::Entity::insert_many(models).exec_without_returning(conn).await?;
        let stored: Vec<(DealId, i64, StageId)> = deal::Entity::find()
            .select_only()
            .column(deal::Column::Id)
            .column(deal::Column::Number)
            .column(deal::Column::StageId)
            .filter(deal::COLUMN.org_id.eq(org.id))
            .filter(deal::COLUMN.number.gte(first))
            .filter(deal::COLUMN.number.lt(first + count))
            .into_tuple()
            .all(conn)
            .await?;
        let values: Vec<_> = stored
            .iter()
            .filter_map(|(id, number, _)| Some((custom_values.get(number)?, *id)))
            .flat_map(|(values, id)| values.rows(org.id, TargetId::Deal(id)))
            .collect();
        // In chunks, because of the limit on the parameters of a statement.
        for values in values.chunks(CHUNK) {
            custom_value::Entity::insert_many(values.iter().cloned()).exec_without_returning(conn).await?;
        }
        let changes = stored.into_iter().map(|(id, number, stage)| stage_change::ActiveModel {
            id: NotSet,
            org_id: Set(org.id),
            deal_id: Set(id),
            from_stage_id: Set(None),
            to_stage_id: Set(Some(stage)),
            from_name: Set(String::new()),
            to_name: Set(stages.get(&number).copied().unwrap_or_default().to_owned()),
            moved_by: Set(access.member.id),
            moved_at: Set(now),
        });
        stage_change::Entity::insert_many(changes).exec_without_returning(conn).await?;
        Ok(to_u64(count))
    }

    /// Stores a chunk of clients; returns how many were created and how many were updated.
    async fn store_clients(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        import: ImportId,
        rows: &[ClientRow],
    ) -> Result<(u64, u64)> {
        access.may(Permission::ClientCreate)?;
        let now = self.core.now();
        let (mut models, mut inserted, mut updated) = (Vec::new(), 0, 0);
        for row in rows {
            let Some(existing) = &row.existing else {
                let owner = row.owner.unwrap_or(access.member.id);
                let mut model = new_client(access, &row.new, owner, import, now);
                model.custom.clone_from(&row.custom.json);
                let model = client::ActiveModel { id: NotSet, ..model.into() }.reset_all();
                if row.custom.json.is_empty() {
                    models.push(model);
                } else {
                    let id = model.insert(tx).await?.id;
                    row.custom.clone().store(tx, access.org.id, TargetId::Client(id)).await?;
                    inserted += 1;
                }
                continue;
            };
            lock::<client::Entity>(tx, existing.id).await?;
            let before = access.client_for(tx, existing.id, Permission::ClientUpdate).await?;
            let mut after = before.clone();
            if let Some(owner) = row.owner.filter(|owner| *owner != before.owner_id) {
                access.may_with(Permission::ClientReassign, before.owner_id, before.created_by)?;
                after.owner_id = owner;
            }
            for (field, value) in [
                (&mut after.name, &row.new.name),
                (&mut after.phone, &row.new.phone),
                (&mut after.website, &row.new.website),
                (&mut after.address, &row.new.address),
                (&mut after.tax_id, &row.new.tax_id),
                (&mut after.notes, &row.new.notes),
            ] {
                if !value.is_empty() {
                    field.clone_from(value);
                }
            }
            derive(&mut after);
            after.custom = row.custom.merged_into(&before.custom);
            row.custom.clone().store(tx, access.org.id, TargetId::Client(existing.id)).await?;
            after.updated_at = now;
            store(tx, &before, &after).await?;
            self.sales.rename_in_deals(tx, &after).await?;
            self.core.record_changed(tx, (caller, access), "deals.import_client", &before, &after).await?;
            event::client_updated(tx, &before, &after).await?;
            updated += 1;
        }
        let count = models.len() as u64 + inserted;
        if !models.is_empty() {
            client::Entity::insert_many(models).exec_without_returning(tx).await?;
        }
        Ok((count, updated))
    }

    async fn show_imports(&self, rows: Vec<import::Model>) -> Result<Vec<Import>> {
        let people = self.core.members_as_people(self.core.db.conn(), rows.iter().map(|row| row.created_by)).await?;
        let show = |row: import::Model| {
            let mut errors: Vec<ImportError> = serde_json::from_str(&row.errors).unwrap_or_default();
            errors.truncate(MAX_SHOWN);
            Import {
                id: row.id,
                kind: row.kind,
                file_name: row.file_name,
                status: row.status,
                total: row.total,
                created: row.created,
                updated: row.updated,
                skipped: row.skipped,
                failed: row.failed,
                kept: row.kept,
                kept_rows: Vec::new(),
                errors,
                created_by: people.get(row.created_by),
                created_at: row.created_at,
                updated_at: row.updated_at,
            }
        };
        Ok(rows.into_iter().map(show).collect())
    }

    /// An import with the rows that its revert kept, as far as the caller may see them.
    async fn show_import(&self, access: &Access, row: import::Model) -> Result<Import> {
        let conn = self.core.db.conn();
        let (id, has_kept) = (row.id, row.kept > 0);
        let mut shown = self.show_imports(vec![row]).await?.pop().ok_or(Error::NotFound("import"))?;
        if has_kept {
            let deals = access.deals().filter(deal::COLUMN.import_id.eq(id)).order_by_asc(deal::Column::Id);
            let clients = access.clients().filter(client::COLUMN.import_id.eq(id)).order_by_asc(client::Column::Id);
            let deal =
                |row: deal::Model| Node { model: "deal", id: row.id.0, label: format!("{} - {}", row.code, row.title) };
            let client = |row: client::Model| Node { model: "client", id: row.id.0, label: row.name };
            let deals = deals.limit(MAX_SHOWN as u64).all(conn).await?.into_iter().map(deal);
            let clients = clients.limit(MAX_SHOWN as u64).all(conn).await?.into_iter().map(client);
            shown.kept_rows = deals.chain(clients).take(MAX_SHOWN).collect();
        }
        Ok(shown)
    }

    async fn import_row(&self, access: &Access, id: ImportId) -> Result<import::Model> {
        let query = visible_imports(access).filter(import::COLUMN.id.eq(id));
        query.one(self.core.db.conn()).await?.ok_or(Error::NotFound("import"))
    }

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

    /// Stores the checked rows in chunks, and the progress with each.
    async fn store_rows(
        &self,
        caller: &Caller,
        org: OrganizationId,
        row: &mut import::Model,
        rows: &Rows,
    ) -> Result<()> {
        let id = row.id;
        match rows {
            Rows::Deals(rows) => {
                for chunk in rows.chunks(CHUNK) {
                    let (previous, now) = (row.updated_at, self.core.now());
                    let created = self.core.write(|tx| async move {
                        let access = self.core.authorize(&tx, caller, org, Permission::ImportRun).await?;
                        let created = self.store_deals(&tx, &access, id, chunk).await?;
                        advance(&tx, id, previous, now, (created, 0)).await?;
                        Ok::<_, Error>(created)
                    });
                    row.created += i64::try_from(created.await?).unwrap_or_default();
                    row.updated_at = now;
                }
            }
            Rows::Clients(rows) => {
                for chunk in rows.chunks(CHUNK) {
                    let (previous, now) = (row.updated_at, self.core.now());
                    let counts = self.core.write(|tx| async move {
                        let access = self.core.authorize(&tx, caller, org, Permission::ImportRun).await?;
                        let counts = self.store_clients(&tx, (caller, &access), id, chunk).await?;
                        advance(&tx, id, previous, now, counts).await?;
                        Ok::<_, Error>(counts)
                    });
                    let (created, updated) = counts.await?;
                    row.created += i64::try_from(created).unwrap_or_default();
                    row.updated += i64::try_from(updated).unwrap_or_default();
                    row.updated_at = now;
                }
            }
        }
        Ok(())
    }

    /// Stores all rows of an import, or aborts it.
    async fn run_import(self, caller: Caller, mut row: import::Model, rows: Rows, permit: Permit) -> Result<()> {
        let _permit = permit;
        let outcome = match self.store_rows(&caller, row.org_id, &mut row, &rows).await {
            Ok(()) => self.finish(&caller, &row).await,
            failed => failed,
        };
        if let Err(error) = outcome {
            tracing::warn!(import.id = row.id.0, %error, "an import failed and is being rolled back");
            self.abort(row.org_id, row.id).await?;
            return Err(error);
        }
        Ok(())
    }

    /// Marks an import as done and emits its event.
    async fn finish(&self, caller: &Caller, row: &import::Model) -> Result<()> {
        let detail = &vec![
            ("file_name", row.file_name.clone().into()),
            ("created", row.created.into()),
            ("updated", row.updated.into()),
        ];
        self.core
            .write(|tx| async move {
                let conn = &tx;
                advance(conn, row.id, row.updated_at, self.core.now(), (0, 0)).await?;
                let sql = "UPDATE deals_import SET status = 'done' WHERE id = $1";
                execute(conn, sql, [row.id.into()]).await?;
                let access = self.core.authorize(conn, caller, row.org_id, Permission::ImportRun).await?;
                let finished = ImportFinished {
                    organization_id: row.org_id,
                    id: row.id,
                    file_name: row.file_name.clone(),
                    created: row.created,
                    updated: row.updated,
                };
                tx.emit(&finished).await?;
                self.core.record(conn, (caller, &access), "deals.import", ("import", row.id.0), detail.clone()).await
            })
            .await
    }

    /// Deletes the rows that an import has created, and marks it as failed.
    async fn abort(&self, org: OrganizationId, id: ImportId) -> Result<()> {
        let numbers = self.delete_created(org, id, DealNumbers::Release).await?.numbers;
        let numbers = &numbers;
        self.core
            .write(|tx| async move {
                let (conn, now) = (&tx, self.core.now());
                let sql = "UPDATE deals_import SET status = 'failed', created = 0, updated_at = $1 \
                       WHERE id = $2 AND status = 'running'";
                execute(conn, sql, [now.into(), id.into()]).await?;
                let scope = format!("deals/{org}");
                let object = format!("{scope}/import/{id}");
                let event = audit::AuditEvent::new("deals.break_off_import").with("numbers", ranges(numbers.clone()));
                Ok::<_, Error>(event.of(scope, object).record(conn, now).await?)
            })
            .await
    }

    /// Aborts the imports whose process has stopped.
    pub(crate) async fn abort_stalled(&self) -> Result<()> {
        let now = self.core.now();
        let stalled = import::Entity::find()
            .filter(Expr::cust("deals_import.status = 'running'"))
            .filter(import::COLUMN.updated_at.lt(now - STALLED))
            .order_by_asc(import::Column::Id);
        for row in stalled.all(self.core.db.conn()).await? {
            // If the process is only slow, it cannot go on after this.
            let row = &row;
            let claimed = self.core.write(|tx| async move { advance(&tx, row.id, row.updated_at, now, (0, 0)).await });
            match claimed.await {
                Ok(()) => self.abort(row.org_id, row.id).await?,
                Err(Error::IllegalTransition(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Deletes the rows that an import has created, except those that were changed or used since.
    async fn delete_created(&self, org: OrganizationId, id: ImportId, deal_numbers: DealNumbers) -> Result<Reverted> {
        let untouched = "org_id = $1 AND import_id = $2 AND updated_at = created_at AND deleted_at IS NULL";
        let deals = format!(
            "DELETE FROM deals_deal WHERE id IN (SELECT d.id FROM deals_deal d WHERE {} \
             AND NOT EXISTS (SELECT 1 FROM deals_payment p WHERE p.org_id = d.org_id AND p.deal_id = d.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_activity a WHERE a.org_id = d.org_id AND a.deal_id = d.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_file f WHERE f.org_id = d.org_id AND f.deal_id = d.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_line l WHERE l.org_id = d.org_id AND l.deal_id = d.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_task t WHERE t.org_id = d.org_id AND t.deal_id = d.id) \
             ORDER BY d.number DESC LIMIT {CHUNK}) RETURNING number",
            untouched.replace("org_id", "d.org_id").replace("import_id", "d.import_id")
        );
        let clients = format!(
            "DELETE FROM deals_client WHERE id IN (SELECT c.id FROM deals_client c WHERE {} \
             AND NOT EXISTS (SELECT 1 FROM deals_deal d WHERE d.org_id = c.org_id AND d.client_id = c.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_contact p WHERE p.org_id = c.org_id AND p.client_id = c.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_activity a WHERE a.org_id = c.org_id AND a.client_id = c.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_task t WHERE t.org_id = c.org_id AND t.client_id = c.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_merged_client m WHERE m.org_id = c.org_id AND m.client_id = c.id) \
             ORDER BY c.id LIMIT {CHUNK})",
            untouched.replace("org_id", "c.org_id").replace("import_id", "c.import_id")
        );
        let mut numbers = Vec::new();
        loop {
            let sql = deals.as_str();
            let chunk = self.core.write(|tx| async move {
                let conn = &tx;
                let deleted = scalars_i64(conn, sql, [org.into(), id.into()]).await?;
                let count = deleted.len();
                match deal_numbers {
                    DealNumbers::Release => release_numbers(conn, org, deleted).await.map(|unused| (count, unused)),
                    DealNumbers::Retire => Ok((count, deleted)),
                }
            });
            let (deleted, unused) = chunk.await?;
            numbers.extend(unused);
            if deleted == 0 {
                break;
            }
        }
        loop {
            let sql = clients.as_str();
            let deleted = self.core.write(|tx| async move { execute(&tx, sql, [org.into(), id.into()]).await });
            if deleted.await? == 0 {
                break;
            }
        }
        let remaining = "SELECT (SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND import_id = $2) \
                    + (SELECT COUNT(*) FROM deals_client WHERE org_id = $1 AND import_id = $2)";
        Ok(Reverted { kept: scalar_i64(self.core.db.conn(), remaining, [org.into(), id.into()]).await?, numbers })
    }

    /// Reverts an import that is done.
    async fn revert(self, caller: Caller, org: OrganizationId, id: ImportId) -> Result<()> {
        let Reverted { kept, numbers } = self.delete_created(org, id, DealNumbers::Retire).await?;
        let (core, caller, numbers) = (&self.core, &caller, &numbers);
        core.write(|tx| async move {
            let conn = &tx;
            let sql = "UPDATE deals_import SET status = 'reverted', kept = $1, updated_at = $2 \
                       WHERE id = $3 AND status = 'done'";
            if execute(conn, sql, [kept.into(), core.now().into(), id.into()]).await? == 0 {
                return Err(Error::IllegalTransition("Only a finished import can be reverted."));
            }
            let access = core.authorize(conn, caller, org, Permission::ImportRun).await?;
            tx.emit(&ImportReverted { organization_id: org, id, kept }).await?;
            let detail = vec![("kept", kept.into()), ("numbers", ranges(numbers.clone()).into())];
            core.record(conn, (caller, &access), "deals.revert_import", ("import", id.0), detail).await
        })
        .await
    }
}

/// What happens to the numbers of deleted deals.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DealNumbers {
    /// The last ones are assigned again, since the import was never finished.
    Release,
    /// They are never assigned again.
    Retire,
}

/// The result of deleting the rows of an import.
struct Reverted {
    /// How many rows were kept.
    kept: i64,
    /// The numbers of deleted deals that are never assigned again.
    numbers: Vec<i64>,
}

/// Lets the numbers of deleted deals be assigned again if no later ones were; returns the other numbers.
async fn release_numbers(conn: &impl ConnectionTrait, org: OrganizationId, mut numbers: Vec<i64>) -> Result<Vec<i64>> {
    numbers.sort_unstable();
    // Locks the counter, like every operation that assigns a number.
    let lock = "UPDATE deals_counter SET next = next WHERE org_id = $1 AND kind = 'deal' RETURNING next";
    let before = scalar_i64(conn, lock, [org.into()]).await?;
    let mut next = before;
    while numbers.last().is_some_and(|last| last + 1 == next) {
        numbers.pop();
        next -= 1;
    }
    if next < before {
        let sql = "UPDATE deals_counter SET next = $1 WHERE org_id = $2 AND kind = 'deal'";
        execute(conn, sql, [next.into(), org.into()]).await?;
    }
    Ok(numbers)
}

/// Numbers as ranges, for the audit log: `1-14000, 14007`.
fn ranges(mut numbers: Vec<i64>) -> String {
    numbers.sort_unstable();
    let ranges = numbers.chunk_by(|one, next| one + 1 == *next).map(|range| match range {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    ranges.collect::<Vec<_>>().join(", ")
}

/// Stores the progress of an import, in the transaction that stores its rows. Fails if the import was aborted
/// meanwhile.
async fn advance(
    conn: &impl ConnectionTrait,
    id: ImportId,
    previous: Timestamp,
    now: Timestamp,
    (created, updated): (u64, u64),
) -> Result<()> {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let sql = "UPDATE deals_import SET created = created + $1, updated = updated + $2, updated_at = $3 \
               WHERE id = $4 AND status = 'running' AND updated_at = $5";
    let values = [count(created).into(), count(updated).into(), now.into(), id.into(), previous.into()];
    match execute(conn, sql, values).await? {
        0 => Err(Error::IllegalTransition("The import was aborted.")),
        _ => Ok(()),
    }
}

/// Runs an operation of several transactions in a task of its own, so that it completes although the client may
/// disconnect; waits for it up to [`MAX_WAIT`].
async fn run_detached(work: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let origin = (*Origin::current()).clone();
    let task = tokio::spawn(origin.scope(work).instrument(tracing::Span::current()));
    match tokio::time::timeout(MAX_WAIT, task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panicked)) => Err(KernelError::internal(panicked).into()),
        Err(_) => Ok(()),
    }
}

/// The imports that the caller may see: their own, and those of members whose rows they see.
fn visible_imports(access: &Access) -> Select<import::Entity> {
    let of_kind = |kind: ImportKind, permission: Permission| {
        let condition = Condition::all().add(import::COLUMN.kind.eq(kind));
        match access.members_in_scope(permission) {
            None => condition,
            Some(members) => condition.add(import::COLUMN.created_by.is_in(members)),
        }
    };
    let visible = Condition::any()
        .add(import::COLUMN.created_by.eq(access.member.id))
        .add(of_kind(ImportKind::Deals, Permission::DealRead))
        .add(of_kind(ImportKind::Clients, Permission::ClientRead));
    import::Entity::find().filter(import::COLUMN.org_id.eq(access.org.id)).filter(visible)
}

fn new_client(access: &Access, new: &NewClient, owner: MemberId, import: ImportId, now: Timestamp) -> client::Model {
    let mut row = client::Model {
        id: ClientId(0),
        org_id: access.org.id,
        name: new.name.trim().to_owned(),
        name_key: String::new(),
        email: new.email.trim().to_owned(),
        email_key: None,
        phone: new.phone.trim().to_owned(),
        phone_key: None,
        website: new.website.trim().to_owned(),
        address: new.address.clone(),
        tax_id: new.tax_id.trim().to_owned(),
        notes: new.notes.clone(),
        owner_id: owner,
        created_by: access.member.id,
        search_text: String::new(),
        archived_at: None,
        deleted_at: None,
        deletion_id: None,
        created_at: now,
        updated_at: now,
        import_id: Some(import),
        custom: String::new(),
    };
    derive(&mut row);
    row
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
        if let Some(row) = self.core.write(|tx| async move { self.started_with(&tx, context, key).await }).await? {
            return self.replay(access, row).await;
        }
        self.core.host.files.check_room()?;
        self.core.host.files.count_upload(caller.user, new.bytes.len()).await?;
        let permit = self.tables.enter(Some(caller.user)).await?;
        let checking = {
            let (this, access, new) = (self.clone(), access.clone(), new.clone());
            async move {
                let sheet = csv::read(&new)?;
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
        let (rows, page) = page.take();
        let shown = self.show_imports(rows).await?;
        Ok(page.with(|_| shown))
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
            return Err(Error::IllegalTransition("Only a finished import can be reverted."));
        }
        run_detached(self.clone().revert(*caller, org, id)).await?;
        self.show_import(&access, self.import_row(&access, id).await?).await
    }
}
